/** Keys, signatures and envelopes. What verifies is what was signed, whatever was changed. */
import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey, sign } from 'node:crypto';
import { decodeBase64, decodeBase64OfAnyLength } from '../../../src/signing/base64.ts';
import { openEnvelope, signEnvelope } from '../../../src/signing/envelope.ts';
import { parsePublicKey, parseSecretKey } from '../../../src/signing/nix-key.ts';
import { preAuthenticationEncoding } from '../../../src/signing/pae.ts';
import { isPathSigned, signPath } from '../../../src/signing/path-signature.ts';
import { parseSignatureFile, signManifest } from '../../../src/signing/signature-file.ts';
import { parseSshKey } from '../../../src/signing/ssh-key.ts';
import { readArmoured, sshNamespace, verifySshSignature } from '../../../src/signing/ssh-signature.ts';
import { wireString } from '../../../src/signing/ssh-wire.ts';
import { parseTrustedKey } from '../../../src/signing/trusted-key.ts';
import { makeTrustSet, verifyManifest } from '../../../src/signing/verify.ts';
import { manifestText } from '../../support/manifests.ts';
import { indexedPath, indexOf } from '../../support/releases.ts';
import { byteMutation } from '../mutations/bytes.ts';
import { jsonMutation } from '../mutations/json.ts';
import { textLinesMutation } from '../mutations/lines.ts';
import { buffers, firstKey, fixedKey, halves, joined, secondKey, type Target } from './target.ts';

const wireWords = [
  '\0\0\0\x0bssh-ed25519',
  '\0\0\0\x20',
  '\0\0\0\x40',
  '\0\0\0\x08nixmaker',
  'SSHSIG\0\0\0\x01',
];
const base64Words = [...'+/=AQgw', '==', ':', '\n', '-_', '\0'];

/** An SSH key of a kind, and the signature that ssh-keygen would make with it. */
export interface SshPair {
  readonly line: string;
  readonly sign: (message: Buffer, namespace?: string) => Buffer;
}

/** @param application of a token; its flags say that it was touched */
function ed25519Pair(key: ReturnType<typeof fixedKey>, application?: string): SshPair {
  const kind = application === undefined ? 'ssh-ed25519' : 'sk-ssh-ed25519@openssh.com';
  const blob = Buffer.concat(
    [kind, key.raw, ...(application === undefined ? [] : [application])].map(wireString),
  );
  const token = Buffer.from([1, 0, 0, 0, 7]);
  const raw = (message: Buffer) => Buffer.from(key.sign(message), 'base64');
  return sshPair(kind, blob, (message) => {
    if (application === undefined) return Buffer.concat([kind, raw(message)].map(wireString));
    const over = Buffer.concat([sha256(application), token, sha256(message)]);
    return Buffer.concat([...[kind, raw(over)].map(wireString), token]);
  });
}

const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest();

function sshPair(kind: string, blob: Buffer, signature: (message: Buffer) => Buffer): SshPair {
  return {
    line: `${kind} ${blob.toString('base64')} somebody`,
    sign: (message, namespace = sshNamespace) => {
      const digest = createHash('sha512').update(message).digest();
      const over = Buffer.concat([
        Buffer.from('SSHSIG'),
        ...[namespace, '', 'sha512', digest].map(wireString),
      ]);
      const fields = [blob, namespace, '', 'sha512', signature(over)].map(wireString);
      return Buffer.concat([Buffer.from('SSHSIG\0\0\0\x01', 'latin1'), ...fields]);
    },
  };
}

/** A key on P-256 whose secret is a digest. Its signatures differ from run to run, and all of them count. */
function p256Pair(name: string): SshPair {
  const kind = 'ecdsa-sha2-nistp256';
  const secret = sha256(`nixmaker fuzz ${name}`);
  const der = Buffer.concat([
    Buffer.from('30310201010420', 'hex'),
    secret,
    Buffer.from('a00a06082a8648ce3d030107', 'hex'),
  ]);
  const key = createPrivateKey({ key: der, format: 'der', type: 'sec1' });
  const point = createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-65);
  const number = (bytes: Buffer) =>
    wireString((bytes[0] ?? 0) > 127 ? Buffer.concat([Buffer.alloc(1), bytes]) : bytes);
  return sshPair(kind, Buffer.concat([kind, 'nistp256', point].map(wireString)), (message) => {
    const rs = sign('sha256', message, { key, dsaEncoding: 'ieee-p1363' });
    return Buffer.concat(
      [kind, Buffer.concat([number(rs.subarray(0, 32)), number(rs.subarray(32))])].map(wireString),
    );
  });
}

const person = ed25519Pair(fixedKey('person-1'));
const token = ed25519Pair(fixedKey('token-1'), 'ssh:');
const curve = p256Pair('curve');
/** One of each kind that there is in a test without ssh-keygen. */
export const sshPairs = { person, token, curve };
const message = Buffer.from('what was signed');

const keys: Target = {
  name: 'keys',
  readers: [
    'signing/nix-key.ts parsePublicKey',
    'signing/nix-key.ts parseSecretKey',
    'signing/trusted-key.ts parseTrustedKey',
    'signing/ssh-key.ts parseSshKey',
    'signing/base64.ts decodeBase64',
    'signing/base64.ts decodeBase64OfAnyLength',
  ],
  seeds: () =>
    buffers(firstKey.publicText, ...[person, token, curve].flatMap((p) => [p.line, `name-1:${p.line}`])),
  mutate: byteMutation([...base64Words, 'ssh-ed25519 ', 'sk-ssh-ed25519@openssh.com ', ' AAAA']),
  run: (data) => {
    const text = data.toString('utf8');
    const bytes = decodeBase64OfAnyLength(text, 4096);
    if (bytes !== undefined) assert.equal(bytes.toString('base64'), text, 'bytes with two spellings');
    assert.equal(decodeBase64(text, 64) === undefined, bytes?.length !== 64);
    attempt(() => {
      const { name, material } = parsePublicKey(text);
      assert.equal(`${name}:${material}`, text.replace(/\n$/, ''), 'a key with two spellings');
    });
    attempt(() => parseSshKey(text));
    attempt(() => parseSecretKey(text));
    parseTrustedKey(text);
  },
};

/** One of several readers of one text: that it is refused by one is no reason not to ask the next. */
function attempt(read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof Error && error.name === 'NixmakerError')) throw error;
  }
}

/** The key as SSH sends it, without the base 64 around it: so that its bytes are met. */
const sshBlobs: Target = {
  name: 'ssh-blobs',
  readers: ['signing/ssh-key.ts parseSshKey', 'signing/ssh-wire.ts WireReader'],
  seeds: () => [person, token, curve].map(({ line }) => Buffer.from(line.split(' ')[1] ?? '', 'base64')),
  mutate: byteMutation(wireWords),
  run: (data) => {
    const kind = data.toString('latin1', 4, 4 + Math.min(40, data.length < 4 ? 0 : data.readUInt32BE()));
    const { blob, verifies } = parseSshKey(`${kind} ${data.toString('base64')}`);
    assert.deepEqual(blob, data);
    assert.equal(verifies(message, Buffer.alloc(64)), false, 'a key that takes anything for a signature');
  },
};

/** Signatures by keys that are known, over a message that is in the input as well. */
const sshSignatures: Target = {
  name: 'ssh-signatures',
  readers: ['signing/ssh-signature.ts verifySshSignature', 'signing/ssh-signature.ts readArmoured'],
  seeds: () => [
    ...[person, token, curve].map((pair) => joined(message, pair.sign(message))),
    joined(message, person.sign(message, 'git')),
  ],
  mutate: byteMutation(wireWords),
  run: (data) => {
    const [text, signature] = halves(data);
    const armoured = `-----BEGIN SSH SIGNATURE-----\n${signature.toString('base64')}\n-----END SSH SIGNATURE-----\n`;
    attempt(() => assert.deepEqual(readArmoured(armoured), signature));
    attempt(() => readArmoured(data.toString('latin1')));
    for (const { line } of [person, token, curve])
      if (verifySshSignature(parseSshKey(line), text, signature))
        assert.deepEqual(text, message, 'what nobody has signed was taken for signed');
  },
};

const signedText = Buffer.from(manifestText());
const trust = makeTrustSet([firstKey.publicText, secondKey.publicText, `person-1:${person.line}`], 1);

const signedManifests: Target = {
  name: 'signed-manifests',
  readers: ['signing/signature-file.ts parseSignatureFile', 'signing/verify.ts verifyManifest'],
  seeds: () => {
    const [first, second] = [firstKey, secondKey].map((key) => signManifest(signedText, key));
    const byPerson = `person-1:${person.sign(preAuthenticationEncoding(signedText)).toString('base64')}\n`;
    return [`${first}`, `${first}${second}`, byPerson].map((signatures) => joined(signedText, signatures));
  },
  mutate: textLinesMutation,
  run: (data) => {
    const [manifest, signatures] = halves(data);
    for (const { keyName, bytes } of parseSignatureFile(signatures))
      assert.ok(
        signatures.includes(`${keyName}:${bytes.toString('base64')}\n`),
        'a signature with two spellings',
      );
    verifyManifest(manifest, signatures, trust);
    assert.deepEqual(manifest, signedText, 'a manifest that nobody has signed was taken');
  },
};

const receiptType = 'application/x';
const payload = Buffer.from('{"a":1}');

const envelopes: Target = {
  name: 'envelopes',
  readers: ['signing/envelope.ts openEnvelope'],
  seeds: () =>
    buffers(signEnvelope(payload, receiptType, firstKey), signEnvelope(payload, 'other', firstKey)),
  mutate: jsonMutation,
  run: (data) => {
    const opened = openEnvelope(data.toString('utf8'), receiptType);
    const known = [firstKey.publicText, secondKey.publicText].map(parseTrustedKey);
    if (opened.isSignedBy(firstKey.publicKey) || opened.signersAmong(known).length > 0)
      assert.deepEqual(opened.payload, payload, 'an envelope that nobody has signed was taken');
  },
};

const info = indexOf([indexedPath(1), indexedPath(3, [1, 3])]).info(1);

const pathSignatures: Target = {
  name: 'path-signatures',
  readers: ['signing/path-signature.ts isPathSigned'],
  seeds: () => buffers(signPath(info, firstKey), `${signPath(info, secondKey)}\n${signPath(info, firstKey)}`),
  mutate: textLinesMutation,
  run: (data) => {
    const lines = data.toString('latin1').split('\n');
    if (isPathSigned(info, firstKey.publicKey, lines))
      assert.ok(lines.includes(signPath(info, firstKey)), 'Ed25519 gives one signature, and this is another');
  },
};

export const signingTargets: readonly Target[] = [
  keys,
  sshBlobs,
  sshSignatures,
  signedManifests,
  envelopes,
  pathSignatures,
];
