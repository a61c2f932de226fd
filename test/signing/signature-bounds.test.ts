/** Files of signatures, envelopes and keyrings at their bounds: as many as there may be, and one more. Nothing is started for it. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { limits } from '../../src/core/limits.ts';
import { encodeKeyring } from '../../src/core/policy/keyring.ts';
import { addToEnvelope, openEnvelope, signEnvelope } from '../../src/signing/envelope.ts';
import { keyringMessage, unsignedKeyring, verifyKeyring } from '../../src/signing/keyring.ts';
import { isPathSigned, signPath } from '../../src/signing/path-signature.ts';
import { parseSignatureFile, signManifest } from '../../src/signing/signature-file.ts';
import { looksLikeSshKey } from '../../src/signing/ssh-key.ts';
import { readArmoured } from '../../src/signing/ssh-signature.ts';
import { parseTrustedKey } from '../../src/signing/trusted-key.ts';
import { makeTrustSet, manifestDigest, readManifest, verifyManifest } from '../../src/signing/verify.ts';
import { sshPairs } from '../fuzz/targets/signing.ts';
import { firstKey, secondKey } from '../fuzz/targets/target.ts';
import { manifestText } from '../support/manifests.ts';
import { refusal } from '../support/refusal.ts';
import { storePathOf } from '../support/releases.ts';

const { person } = sshPairs;
const message = Buffer.from('what was signed');

const armour = (body: string, newline = '\n') =>
  ['-----BEGIN SSH SIGNATURE-----', body, '-----END SSH SIGNATURE-----', ''].join(newline);

test('armour is read with either kind of line ends, with the last newline or without; and holds an SSH signature', () => {
  const signature = person.sign(message);
  const body = signature.toString('base64');
  const lines = body.replace(/.{70}/g, '$&\n');
  for (const text of [armour(body), armour(lines), armour(lines, '\r\n'), armour(lines).trimEnd()])
    assert.deepEqual(readArmoured(text), signature);
  const most = Buffer.concat([Buffer.from('SSHSIG'), Buffer.alloc(1018)]);
  assert.deepEqual(readArmoured(armour(most.toString('base64'))), most);
  for (const text of [
    '',
    body,
    armour(''),
    armour(body).slice(1),
    `${armour(body)}x`,
    armour(Buffer.alloc(100).toString('base64')),
    armour(Buffer.concat([most, Buffer.alloc(1)]).toString('base64')),
  ])
    assert.equal(
      refusal(() => readArmoured(text)),
      'signature-malformed: it is not an SSH signature',
    );
});

test('an SSH key is told from a Nix key by its type, also one of a kind that is not taken', () => {
  for (const text of ['ssh-rsa A', 'ecdsa-sha2-nistp384 A', 'sk-ssh-ed25519@openssh.com A', 'ssh-ed25519 A'])
    assert.equal(looksLikeSshKey(text), true, text);
  for (const text of ['', 'ssh-ed25519', 'ed25519 A', 'x ssh-ed25519 A', 'AAAA'])
    assert.equal(looksLikeSshKey(text), false, text);
  const trusted = parseTrustedKey(`anna:${person.line}`);
  assert.deepEqual([trusted.name, trusted.verifies(message, person.sign(message))], ['anna', true]);
  assert.match(refusal(() => parseTrustedKey(`a b:${person.line}`)) ?? '', /“a b” is not a valid key name/);
  assert.match(refusal(() => parseTrustedKey(person.line)) ?? '', /has the form name:base64/);
  const nix = parseTrustedKey(firstKey.publicText);
  const genuine = Buffer.from(firstKey.sign(message), 'base64');
  assert.equal(nix.verifies(message, genuine), true);
  assert.equal(nix.verifies(message, Buffer.concat([genuine, Buffer.alloc(1)])), false);
});

const manifest = Buffer.from(manifestText());
const nixLine = (bytes: Buffer, name = 'k') => `${name}:${bytes.toString('base64')}\n`;

test('a signature file may be as long, and of each key hold as many, as it may', () => {
  const line = nixLine(Buffer.alloc(64));
  const other = (n: number) => nixLine(Buffer.alloc(64, n));
  const sixteen = Array.from({ length: 16 }, (_, n) => other(n)).join('');
  assert.equal(parseSignatureFile(Buffer.from(sixteen)).length, 16);
  assert.equal(
    refusal(() => parseSignatureFile(Buffer.from(sixteen + other(16)))),
    'signature-malformed: manifest.sig has more than 16 signatures by “k”',
  );
  assert.equal(parseSignatureFile(Buffer.from(sixteen + nixLine(Buffer.alloc(64), 'other'))).length, 17);
  // Filled up to the byte with a name of the right length.
  const whole = Math.floor(limits.signatureFileBytes / line.length) - 1;
  const rest = limits.signatureFileBytes - whole * line.length;
  const last = nixLine(Buffer.alloc(64, 1), 'k'.repeat(rest - line.length + 1));
  const full = line.repeat(whole) + last;
  assert.equal(full.length, limits.signatureFileBytes);
  assert.equal(parseSignatureFile(Buffer.from(full)).length, 2);
  assert.match(refusal(() => parseSignatureFile(Buffer.from(`${full}\n`))) ?? '', /exceeds 65536 bytes/);
});

test('a line of a signature file is a name and a signature of one of two kinds', () => {
  const ssh = person.sign(message);
  const parsed = parseSignatureFile(
    Buffer.from(`a:${Buffer.alloc(64).toString('base64')}\nb:${ssh.toString('base64')}\n`),
  );
  assert.deepEqual(
    parsed.map((s) => [s.keyName, s.bytes]),
    [
      ['a', Buffer.alloc(64)],
      ['b', ssh],
    ],
  );
  for (const line of [
    nixLine(Buffer.alloc(63)),
    nixLine(Buffer.alloc(65)),
    nixLine(Buffer.alloc(64), ''),
    nixLine(Buffer.alloc(64), 'a b'),
    `${Buffer.alloc(64).toString('base64')}\n`,
    `k:${ssh.subarray(1).toString('base64')}\n`,
  ])
    assert.equal(
      refusal(() => parseSignatureFile(Buffer.from(nixLine(Buffer.alloc(64)) + line))),
      'signature-malformed: line 2 of manifest.sig is not keyname:base64',
    );
});

test('whoever has signed is named, the first eight of them, each once, and how many more', () => {
  const trust = (count: number) => ({
    threshold: 1,
    keys: Array.from({ length: count }, (_, n) => ({
      ...parseTrustedKey(firstKey.publicText),
      name: `t${n}`,
    })),
  });
  const said = (signers: number, trusted: number) => {
    const line = (n: number) => nixLine(Buffer.alloc(64, n), `s${n}`);
    const file = Array.from({ length: signers }, (_, n) => line(n) + line(n)).join('');
    return refusal(() => verifyManifest(manifest, Buffer.from(file), trust(trusted)));
  };
  const names = (letter: string, count: number) =>
    Array.from({ length: count }, (_, n) => `“${letter}${n}”`).join(', ');
  assert.equal(said(8, 0), `signature-unknown-key: it is signed by ${names('s', 8)}; trusted here: nobody`);
  assert.equal(
    said(9, 10),
    `signature-unknown-key: it is signed by ${names('s', 8)}, 1 more; trusted here: ${names('t', 8)}, 2 more`,
  );
});

test('a manifest may have as many bytes as it may, and is asked for its length before anything else', () => {
  const at = (length: number) => refusal(() => readManifest(Buffer.alloc(length, 0x20)));
  assert.doesNotMatch(at(limits.manifestBytes) ?? '', /bytes/);
  assert.equal(at(limits.manifestBytes + 1), 'manifest-malformed: it exceeds 65536 bytes');
  assert.equal(manifestDigest(Buffer.from('')), createHash('sha256').update('').digest('hex'));
});

test('as many different keys as are asked for, and not one less', () => {
  const trust = makeTrustSet([firstKey.publicText, secondKey.publicText], 2);
  const both = signManifest(manifest, firstKey) + signManifest(manifest, secondKey);
  const { signedBy, digest } = verifyManifest(manifest, Buffer.from(both), trust);
  assert.deepEqual(signedBy, [firstKey.name, secondKey.name]);
  assert.equal(digest, createHash('sha256').update(manifest).digest('hex'));
  const one = Buffer.from(signManifest(manifest, firstKey));
  assert.equal(
    refusal(() => verifyManifest(manifest, one, { ...trust, threshold: 2 })),
    'signature-threshold: 1 of 2 required trusted keys have signed',
  );
});

const type = 'application/vnd.nixmaker.receipt.v1+json';

test('the same signature twice is verified once; another key’s, or one in another spelling, is not this key’s', () => {
  const envelope = JSON.parse(signEnvelope(Buffer.from('{}'), type, firstKey)) as {
    signatures: { keyid: string; sig: string }[];
  };
  const [genuine] = envelope.signatures;
  assert.ok(genuine !== undefined);
  const opened = (signatures: readonly { keyid: string; sig: string }[]) =>
    openEnvelope(JSON.stringify({ ...envelope, signatures }), type);
  let asked = 0;
  const verifies = () => {
    asked += 1;
    return false;
  };
  const counting = { ...parseTrustedKey(firstKey.publicText), verifies };
  assert.deepEqual(opened([genuine, genuine, genuine]).signersAmong([counting]), []);
  assert.equal(asked, 1);
  assert.deepEqual(opened([genuine, genuine]).claimedSigners, [firstKey.name]);
  const trusted = [firstKey.publicText, secondKey.publicText].map(parseTrustedKey);
  assert.deepEqual(opened([genuine]).signersAmong(trusted), [firstKey.name]);
  assert.deepEqual(opened([{ ...genuine, keyid: secondKey.name }]).signersAmong(trusted), []);
  assert.deepEqual(opened([{ ...genuine, sig: `${genuine.sig} ` }]).signersAmong(trusted), []);
  assert.equal(opened([genuine]).isSignedBy(firstKey.publicKey), true);
  assert.equal(opened([genuine]).isSignedBy(secondKey.publicKey), false);
  const asLong = (bytes: number) => ({ ...genuine, sig: Buffer.alloc(bytes).toString('base64') });
  opened([asLong(1024), asLong(1025), asLong(1)]).signersAmong([counting]);
  assert.equal(asked, 3, 'a signature that is longer than any is not looked at');
  const long = Buffer.alloc(65).toString('base64');
  assert.equal(opened([{ ...genuine, sig: long }, genuine]).isSignedBy(firstKey.publicKey), true);
});

test('a signature that is added takes the place of the same key’s, and leaves others’', () => {
  const empty = unsignedKeyring('{}\n');
  const add = (text: string, keyid: string, sig: string) =>
    addToEnvelope(text, { keyid, sig }, 'keyring-malformed');
  const all = add(add(add(empty, 'a', '1'), 'b', '2'), 'a', '3');
  assert.deepEqual((JSON.parse(all) as { signatures: unknown }).signatures, [
    { keyid: 'b', sig: '2' },
    { keyid: 'a', sig: '3' },
  ]);
  assert.match(refusal(() => add('{}', 'a', '1')) ?? '', /^keyring-malformed: it is not an envelope$/);
});

test('a keyring that nobody who is trusted has signed is not read any further', () => {
  const text = encodeKeyring({
    ...{ schema: 1, version: 1, hosts: ['web'], threshold: 1, roles: {} },
    trustedKeys: [firstKey.publicText],
  });
  // What follows the version is no keyring: whoever reads on says so.
  const spoilt = text.replace('"hosts"', '"hose"');
  const state = {
    ...{ host: 'web', version: 0, leastSequence: 0, now: '2026-11-24T00:00:00Z' },
    trust: { trustedKeys: [{ key: secondKey.publicText, roles: [] }], threshold: 1, roles: {} },
  };
  const by = (name: string, sig: string) =>
    addToEnvelope(unsignedKeyring(spoilt), { keyid: name, sig }, 'keyring-malformed');
  const strangers = by(firstKey.name, firstKey.sign(keyringMessage(spoilt)));
  assert.equal(
    refusal(() => verifyKeyring(strangers, state)),
    'keyring-untrusted: none of the currently trusted keys has signed it',
  );
  const trusted = by(secondKey.name, secondKey.sign(keyringMessage(spoilt)));
  assert.match(refusal(() => verifyKeyring(trusted, state)) ?? '', /^keyring-malformed/);
});

test('of a path’s signatures one by the key is enough, among the first thousand under its name', () => {
  const info = {
    path: storePathOf(1),
    narHash: `sha256:${'1'.repeat(52)}`,
    narSize: 5,
    references: [storePathOf(2)],
  };
  const genuine = signPath(info, firstKey);
  const { name, publicKey } = firstKey;
  const noise = (count: number, under = name) => Array.from({ length: count }, (_, n) => `${under}:${n}`);
  const counts = (signatures: readonly string[]) => isPathSigned(info, publicKey, signatures);
  assert.equal(counts([genuine]), true);
  assert.equal(counts([...noise(5000, 'other'), genuine]), true);
  assert.equal(counts([...noise(999), genuine]), true);
  assert.equal(counts([...noise(1000), genuine]), false);
  assert.equal(counts([...Array.from({ length: 2000 }, () => `${name}:x`), genuine]), true, 'each once');
  assert.equal(counts([]), false);
  assert.equal(isPathSigned({ ...info, narSize: 6 }, publicKey, [genuine]), false);
  assert.equal(isPathSigned(info, secondKey.publicKey, [genuine]), false);
});
