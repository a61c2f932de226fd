/**
 * SSH signatures against OpenSSH itself: what ssh-keygen signs is verified, and what a token would sign (made here, for
 * there is none to touch) is taken by `ssh-keygen -Y verify` before it is put to our own verification.
 */
import assert from 'node:assert/strict';
import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import fc from 'fast-check';
import { NixmakerError, type ReasonCode } from '../../src/core/errors.ts';
import { generateKeyPair, parseSecretKey } from '../../src/signing/nix-key.ts';
import { preAuthenticationEncoding } from '../../src/signing/pae.ts';
import { signManifest } from '../../src/signing/signature-file.ts';
import { readArmoured } from '../../src/signing/ssh-signature.ts';
import { wireString } from '../../src/signing/ssh-wire.ts';
import { parseTrustedKey } from '../../src/signing/trusted-key.ts';
import { makeTrustSet, verifyManifest } from '../../src/signing/verify.ts';
import { run } from '../machines/program.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { manifestText } from '../support/manifests.ts';

const manifest = Buffer.from(manifestText());
const message = preAuthenticationEncoding(manifest);

async function must(program: string, args: readonly string[], input?: Buffer): Promise<string> {
  const ran = await run(program, args, input === undefined ? {} : { input });
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  return ran.stdout;
}

async function makeKey(folder: string, type: string, ...more: string[]) {
  const file = join(folder, `key-${type}`);
  await must('ssh-keygen', ['-q', '-t', type, ...more, '-N', '', '-C', 'anna at her desk', '-f', file]);
  return { file, text: `anna:${(await readFile(`${file}.pub`, 'utf8')).trim()}` };
}

async function signWith(
  file: string,
  { namespace = 'nixmaker', bytes = message, options = [] as string[] } = {},
) {
  const path = `${file}.message`;
  await writeFile(path, bytes);
  await run('rm', ['-f', `${path}.sig`]);
  await must('ssh-keygen', ['-Y', 'sign', '-q', '-n', namespace, '-f', file, ...options, path]);
  return readArmoured(await readFile(`${path}.sig`, 'utf8'));
}

const line = (name: string, signature: Buffer) => Buffer.from(`${name}:${signature.toString('base64')}\n`);

function refused(work: () => unknown, code: ReasonCode): void {
  assert.throws(work, (error: unknown) => error instanceof NixmakerError && error.code === code, code);
}

for (const [type, ...more] of [['ed25519'], ['ecdsa', '-b', '256']] as const) {
  test(`${type}: what ssh-keygen signs for nixmaker counts, and nothing else that it signs`, async (t) => {
    const key = await makeKey(await temporaryFolder(t), type, ...more);
    const trust = makeTrustSet([key.text], 1);
    const good = await signWith(key.file);
    assert.deepEqual(verifyManifest(manifest, line('anna', good), trust).signedBy, ['anna']);
    const sha256 = await signWith(key.file, { options: ['-O', 'hashalg=sha256'] });
    assert.deepEqual(verifyManifest(manifest, line('anna', sha256), trust).signedBy, ['anna']);
    for (const [what, signature] of [
      ['for git', await signWith(key.file, { namespace: 'git' })],
      ['of the bare manifest', await signWith(key.file, { bytes: manifest })],
      ['of something else', await signWith(key.file, { bytes: Buffer.from('hello') })],
    ] as const)
      assert.throws(
        () => verifyManifest(manifest, line('anna', signature), trust),
        /signature-invalid/,
        what,
      );
    refused(() => verifyManifest(manifest, line('bert', good), trust), 'signature-unknown-key');
  });

  test(`${type}: a signature changed anywhere does not count, and is never a crash`, async (t) => {
    const key = await makeKey(await temporaryFolder(t), type, ...more);
    const trusted = parseTrustedKey(key.text);
    const good = await signWith(key.file);
    assert.ok(trusted.verifies(message, good));
    for (let bit = 0; bit < good.length * 8; bit++) {
      const changed = Buffer.from(good);
      changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      assert.equal(trusted.verifies(message, changed), false, `bit ${bit}`);
    }
    for (let length = 0; length < good.length; length++)
      assert.equal(trusted.verifies(message, good.subarray(0, length)), false);
    assert.equal(trusted.verifies(message, Buffer.concat([good, Buffer.alloc(1)])), false);
  });
}

/** What a FIDO token does (OpenSSH’s PROTOCOL.u2f), with its secret key in our hands. */
function makeToken(kind: 'ed25519' | 'p256') {
  const pair =
    kind === 'ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spki = pair.publicKey.export({ format: 'der', type: 'spki' });
  const type = kind === 'ed25519' ? 'sk-ssh-ed25519@openssh.com' : 'sk-ecdsa-sha2-nistp256@openssh.com';
  const point = kind === 'ed25519' ? [spki.subarray(-32)] : ['nistp256', spki.subarray(-65)];
  const application = 'ssh:';
  const blob = Buffer.concat([type, ...point, application].map(wireString));
  const sshsig = (flags: number, namespace = 'nixmaker') => {
    const digest = createHash('sha512').update(message).digest();
    const fields = [namespace, '', 'sha512'];
    const toSign = Buffer.concat([Buffer.from('SSHSIG'), ...[...fields, digest].map(wireString)]);
    const counter = Buffer.from([flags, 0, 0, 0, 7]);
    const hash = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest();
    const value = signature(pair.privateKey, Buffer.concat([hash(application), counter, hash(toSign)]));
    const inner = Buffer.concat([wireString(type), wireString(value), counter]);
    return Buffer.concat([
      Buffer.from('SSHSIG'),
      Buffer.from([0, 0, 0, 1]),
      ...[blob, ...fields, inner].map((field) => wireString(field)),
    ]);
  };
  return { text: `${type} ${blob.toString('base64')}`, sshsig };
}

function signature(key: KeyObject, bytes: Buffer): Buffer {
  if (key.asymmetricKeyType === 'ed25519') return sign(null, bytes, key);
  const both = sign('sha256', bytes, { key, dsaEncoding: 'ieee-p1363' });
  const number = (n: Buffer) => {
    let from = 0;
    while (n[from] === 0) from += 1;
    const plain = n.subarray(from);
    return wireString(((plain[0] ?? 0) & 0x80) === 0 ? plain : Buffer.concat([Buffer.alloc(1), plain]));
  };
  return Buffer.concat([number(both.subarray(0, 32)), number(both.subarray(32))]);
}

for (const kind of ['ed25519', 'p256'] as const) {
  test(`a ${kind} key on a token counts when the token was touched`, async (t) => {
    const folder = await temporaryFolder(t);
    const token = makeToken(kind);
    const touched = token.sshsig(1);
    const armoured = `-----BEGIN SSH SIGNATURE-----\n${touched.toString('base64').replace(/.{70}/g, '$&\n')}\n-----END SSH SIGNATURE-----\n`;
    await writeFile(join(folder, 'allowed'), `anna ${token.text}\n`);
    await writeFile(join(folder, 'sig'), armoured);
    const verify = [
      '-Y',
      'verify',
      '-f',
      join(folder, 'allowed'),
      '-I',
      'anna',
      '-n',
      'nixmaker',
      '-s',
      join(folder, 'sig'),
    ];
    await must('ssh-keygen', verify, message);

    const trust = makeTrustSet([`anna:${token.text}`], 1);
    assert.deepEqual(readArmoured(armoured), touched);
    assert.deepEqual(verifyManifest(manifest, line('anna', touched), trust).signedBy, ['anna']);
    refused(() => verifyManifest(manifest, line('anna', token.sshsig(0)), trust), 'signature-invalid');
    refused(() => verifyManifest(manifest, line('anna', token.sshsig(1, 'git')), trust), 'signature-invalid');
    const other = makeToken(kind);
    refused(() => verifyManifest(manifest, line('anna', other.sshsig(1)), trust), 'signature-invalid');
  });
}

test('a person and a machine make two of two, and one key in both forms does not', async (t) => {
  const folder = await temporaryFolder(t);
  const key = await makeKey(folder, 'ed25519');
  const ci = generateKeyPair('ci-1');
  const trust = makeTrustSet([ci.public, key.text], 2);
  const machine = Buffer.from(signManifest(manifest, parseSecretKey(ci.secret)));
  refused(() => verifyManifest(manifest, machine, trust), 'signature-threshold');
  const both = Buffer.concat([machine, line('anna', await signWith(key.file))]);
  assert.deepEqual(verifyManifest(manifest, both, trust).signedBy, ['ci-1', 'anna']);
  const raw = Buffer.from(key.text.split(' ')[1] ?? '', 'base64').subarray(-32);
  refused(() => makeTrustSet([key.text, `same-1:${raw.toString('base64')}`], 1), 'key-malformed');
});

test('keys of kinds that are not taken are refused by name', async (t) => {
  const folder = await temporaryFolder(t);
  const rsa = await makeKey(folder, 'rsa', '-b', '2048');
  assert.throws(
    () => parseTrustedKey(rsa.text),
    /key-malformed: SSH keys of type “ssh-rsa” are not supported/,
  );
  const p384 = await makeKey(folder, 'ecdsa', '-b', '384');
  assert.throws(() => parseTrustedKey(p384.text), /nistp384.* are not supported/);
  refused(() => parseTrustedKey('anna:ssh-ed25519 AAAA'), 'key-malformed');
  // A point of small order in an SSH key’s clothes.
  const weak = Buffer.concat([wireString('ssh-ed25519'), wireString(Buffer.alloc(32))]);
  assert.throws(() => parseTrustedKey(`anna:ssh-ed25519 ${weak.toString('base64')}`), /small order/);
});

test('no key text makes it throw anything but a refusal', () => {
  const kinds = fc.constantFrom(
    'ssh-ed25519',
    'ecdsa-sha2-nistp256',
    'sk-ssh-ed25519@openssh.com',
    'ssh-dss',
  );
  const field = fc.oneof(
    fc.uint8Array({ maxLength: 70 }).map((b) => wireString(b)),
    kinds.map(wireString),
  );
  const blob = fc.array(field, { maxLength: 5 }).map((fields) => Buffer.concat(fields).toString('base64'));
  fc.assert(
    fc.property(kinds, blob, (kind, text) => {
      try {
        parseTrustedKey(`anna:${kind} ${text}`);
      } catch (error) {
        assert.ok(error instanceof NixmakerError, String(error));
      }
    }),
    { numRuns: 2000 },
  );
});
