import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decodeNix32, encodeNix32 } from '../../src/core/nix32.ts';
import {
  fromBaseName,
  hashPart,
  nameOf,
  parseDrvPath,
  parseStorePath,
  toBaseName,
} from '../../src/core/store-path.ts';

const hash = '9inv7zx7r34ci7yzhqy0yd2l1kfdi9rh';

test('a store path is parsed into hash and name', () => {
  const path = parseStorePath(`/nix/store/${hash}-nixos-system-web-26.05`);
  assert.ok(path !== undefined);
  assert.equal(hashPart(path), hash);
  assert.equal(nameOf(path), 'nixos-system-web-26.05');
  assert.equal(fromBaseName(toBaseName(path)), path);
});

for (const [what, text] of [
  ['a path outside the store', `/nix/other/${hash}-web`],
  ['a file below a store path', `/nix/store/${hash}-web/bin/sh`],
  ['a way out of the store', `/nix/store/${hash}-..`],
  ['a name that begins like a way out', `/nix/store/${hash}-..-x`],
  ['a letter Nix has no digit for', `/nix/store/${hash.replace('9', 'e')}-web`],
  ['a hash that is too short', `/nix/store/${hash.slice(1)}-web`],
  ['an empty name', `/nix/store/${hash}-`],
  ['a name of 212 characters', `/nix/store/${hash}-${'a'.repeat(212)}`],
  ['a newline at the end', `/nix/store/${hash}-web\n`],
  ['a space', `/nix/store/${hash}-a b`],
] as const) {
  test(`${what} is no store path`, () => {
    assert.equal(parseStorePath(text), undefined);
  });
}

test('only a path that ends in .drv is a derivation', () => {
  assert.equal(parseDrvPath(`/nix/store/${hash}-web`), undefined);
  assert.ok(parseDrvPath(`/nix/store/${hash}-web.drv`) !== undefined);
});

test('base 32 agrees with Nix on the digest of the empty string', () => {
  // `nix hash convert --hash-algo sha256 --to nix32` of sha256(''), from Nix's own tests.
  const empty = Buffer.from('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855', 'hex');
  assert.equal(encodeNix32(empty), '0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73');
  assert.deepEqual(
    decodeNix32('0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73', 32),
    new Uint8Array(empty),
  );
});

test('base 32 with bits beyond the last byte is refused', () => {
  assert.equal(decodeNix32(`z${'0'.repeat(51)}`, 32), undefined);
});
