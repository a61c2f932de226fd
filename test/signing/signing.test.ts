import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NixmakerError, type ReasonCode } from '../../src/core/errors.ts';
import { limits } from '../../src/core/limits.ts';
import { decodeBase64 } from '../../src/signing/base64.ts';
import { generateKeyPair, parsePublicKey, parseSecretKey } from '../../src/signing/nix-key.ts';
import { preAuthenticationEncoding } from '../../src/signing/pae.ts';
import { signManifest } from '../../src/signing/signature-file.ts';
import { makeTrustSet, verifyManifest } from '../../src/signing/verify.ts';
import { manifestText } from '../support/manifests.ts';

const makeKey = (name: string) => {
  const pair = generateKeyPair(name);
  return { text: pair, secret: parseSecretKey(pair.secret), public: pair.public };
};
const first = makeKey('first-1');
const second = makeKey('second-1');
const manifest = Buffer.from(manifestText());
const lines = (...signatures: string[]) => Buffer.from(signatures.join(''));

function refused(work: () => unknown, code: ReasonCode, detail = /./): void {
  assert.throws(work, (error: unknown) => {
    assert.ok(error instanceof NixmakerError, String(error));
    assert.equal(error.code, code, error.detail);
    assert.match(error.detail, detail);
    return true;
  });
}

test('the encoding that is signed is DSSE’s, by the vector of its specification', () => {
  const encoded = preAuthenticationEncoding(Buffer.from('hello world'), 'http://example.com/HelloWorld');
  assert.equal(encoded.toString(), 'DSSEv1 29 http://example.com/HelloWorld 11 hello world');
});

test('a manifest signed by a trusted key is verified', () => {
  const verified = verifyManifest(
    manifest,
    lines(signManifest(manifest, first.secret)),
    makeTrustSet([first.public], 1),
  );
  assert.equal(verified.manifest.host, 'web');
  assert.deepEqual(verified.signedBy, ['first-1']);
});

test('any changed bit of the manifest is noticed', () => {
  const signature = lines(signManifest(manifest, first.secret));
  for (let bit = 0; bit < manifest.length * 8; bit += 97) {
    const changed = Buffer.from(manifest);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    refused(() => verifyManifest(changed, signature, makeTrustSet([first.public], 1)), 'signature-invalid');
  }
});

test('a signature over the bare bytes, without their type, does not count', () => {
  const bare = `${first.secret.name}:${first.secret.sign(manifest)}\n`;
  refused(() => verifyManifest(manifest, lines(bare), makeTrustSet([first.public], 1)), 'signature-invalid');
});

test('no signature, an unknown key, and a trusted name with another key are three different things', () => {
  const trust = makeTrustSet([first.public], 1);
  const impostor = makeKey('first-1');
  refused(
    () => verifyManifest(manifest, Buffer.alloc(0), trust),
    'signature-missing',
    /^manifest.sig is empty$/,
  );
  refused(
    () => verifyManifest(manifest, lines(signManifest(manifest, second.secret)), trust),
    'signature-unknown-key',
    /^it is signed by “second-1”; trusted here: “[^”]+”(?:, “[^”]+”)*$/,
  );
  refused(
    () => verifyManifest(manifest, lines(signManifest(manifest, impostor.secret)), trust),
    'signature-invalid',
    /^the signature by “first-1” does not match$/,
  );
});

test('one key that signs twice counts once toward a threshold', () => {
  const trust = makeTrustSet([first.public, second.public], 2);
  const twice = lines(signManifest(manifest, first.secret), signManifest(manifest, first.secret));
  refused(
    () => verifyManifest(manifest, twice, trust),
    'signature-threshold',
    /^1 of 2 required trusted keys have signed$/,
  );
  const both = lines(signManifest(manifest, first.secret), signManifest(manifest, second.secret));
  assert.deepEqual(verifyManifest(manifest, both, trust).signedBy, ['first-1', 'second-1']);
});

test('one genuine line, repeated until the file is full, is verified once; of one key only so many different ones are looked at', () => {
  const line = signManifest(manifest, first.secret);
  const trust = makeTrustSet([first.public, second.public], 1);
  let verified = 0;
  const keys = trust.keys.map((key) => ({
    ...key,
    verifies: (message: Uint8Array, signature: Buffer) => {
      verified += 1;
      return key.verifies(message, signature);
    },
  }));
  const full = line.repeat(Math.floor(limits.signatureFileBytes / line.length));
  assert.deepEqual(verifyManifest(manifest, lines(full), { ...trust, keys }).signedBy, ['first-1']);
  assert.equal(verified, 1);
  const both = lines(full.slice(0, 10 * line.length), signManifest(manifest, second.secret));
  assert.deepEqual(verifyManifest(manifest, both, { ...trust, keys }).signedBy, ['first-1', 'second-1']);
  assert.equal(verified, 3);
  const others = Array.from({ length: 17 }, (_, n) => `first-1:${Buffer.alloc(64, n).toString('base64')}\n`);
  refused(
    () => verifyManifest(manifest, lines(...others), { ...trust, keys }),
    'signature-malformed',
    /more than 16 signatures by “first-1”/,
  );
  assert.equal(verified, 3);
});

test('one key under two names is refused in a policy, and so are two keys of one name', () => {
  const again = first.public.replace('first-1', 'other-name');
  refused(
    () => makeTrustSet([first.public, again], 2),
    'key-malformed',
    /^“other-name” and “first-1” are the same key$/,
  );
  const { public: other } = makeKey('first-1');
  for (const threshold of [1, 2])
    refused(
      () => makeTrustSet([first.public, other], threshold),
      'key-malformed',
      /^two different keys are named “first-1”$/,
    );
});

for (const [what, detail, text] of [
  [
    'a line without a newline',
    /^manifest.sig does not end with a newline$/,
    (line: string) => line.trimEnd(),
  ],
  ['an empty line', /^line 2 of/, (line: string) => `${line}\n`],
  [
    'stray characters in the base64',
    /^line 1 of manifest.sig is not keyname:base64$/,
    (line: string) => line.replace(/.\n$/, '!\n'),
  ],
  ['a missing padding', /^line 1 of/, (line: string) => line.replace('=\n', '\n')],
  ['a carriage return', /^line 1 of/, (line: string) => line.replace('\n', '\r\n')],
  ['a signature that is too long', /^line 1 of/, (line: string) => line.replace('\n', 'AAAA\n')],
  ['more than 64 KiB', /^manifest.sig exceeds 65536 bytes$/, (line: string) => line.repeat(700)],
] as const) {
  test(`${what} makes the signature file malformed`, () => {
    const file = lines(text(signManifest(manifest, first.secret)));
    refused(
      () => verifyManifest(manifest, file, makeTrustSet([first.public], 1)),
      'signature-malformed',
      detail,
    );
  });
}

test('base64 has one spelling for one value', () => {
  assert.equal(decodeBase64('AA==', 1)?.length, 1);
  for (const lax of ['AB==', 'AA', 'A!A=', 'AA==\n', ' AA=='])
    assert.equal(decodeBase64(lax, 1), undefined, lax);
});

test('keys of small order are refused: anybody could sign for them', () => {
  for (const hex of [
    '0100000000000000000000000000000000000000000000000000000000000000',
    '0000000000000000000000000000000000000000000000000000000000000080',
    'ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f',
    'c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a',
  ]) {
    refused(() => parsePublicKey(`bad:${Buffer.from(hex, 'hex').toString('base64')}`), 'key-malformed');
  }
});

test('a secret key whose halves do not belong together is refused, and its text never shown', () => {
  const other = Buffer.from(second.text.secret.split(':')[1] ?? '', 'base64');
  const mixed = Buffer.from(first.text.secret.split(':')[1] ?? '', 'base64');
  other.copy(mixed, 32, 32);
  const text = `mixed:${mixed.toString('base64')}`;
  assert.throws(
    () => parseSecretKey(text),
    (error: unknown) =>
      error instanceof NixmakerError && !error.message.includes(mixed.toString('base64').slice(0, 16)),
  );
});
