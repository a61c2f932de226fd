/** Headers of a bundle’s members: one for each name and size, the same as the tar library’s. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { Header } from 'tar/header';
import { encodeHeader, paddingOf, sizeFromHeader } from '../../src/bundle/ustar.ts';

test('a header holds any size, and says no other name’s', () => {
  for (const size of [0, 1, 511, 512, 513, 8 ** 10, 8 ** 11 - 1]) {
    const header = encodeHeader('index', size);
    assert.equal(sizeFromHeader(header, 'index'), size);
    assert.equal(sizeFromHeader(header, 'indey'), undefined);
    assert.equal((size + paddingOf(size)) % 512, 0);
    assert.ok(paddingOf(size) >= 0 && paddingOf(size) < 512);
  }
  // From 8 GiB on in base 256: none of the members whose sizes nothing has announced is as large.
  assert.equal(sizeFromHeader(encodeHeader('index', 8 ** 11), 'index'), undefined);
  assert.throws(() => encodeHeader('x'.repeat(300), 1), { code: 'bundle-too-large' });
  assert.equal(sizeFromHeader(Buffer.alloc(512), 'index'), undefined);
});

test('every header is the one the tar library writes', () => {
  const names = fc.oneof(
    fc.stringMatching(/^[!-~]{1,110}$/),
    fc.constantFrom('a b', 'naïve', 'x\0y', 'a'.repeat(99), 'a'.repeat(100), `${'a/'.repeat(60)}b`),
  );
  const sizes = fc.oneof(
    fc.nat(2 ** 30),
    fc.maxSafeNat(),
    fc.constantFrom(0, 8 ** 10 - 1, 8 ** 10, 8 ** 11 - 1, 8 ** 11),
  );
  fc.assert(
    fc.property(names, sizes, (path, size) => {
      const block = Buffer.alloc(512);
      const [mode, mtime] = [0o444, new Date(0)];
      const header = new Header({
        path,
        mode,
        uid: 0,
        gid: 0,
        size,
        mtime,
        type: 'File',
        uname: '',
        gname: '',
      });
      const isSpecial = header.encode(block, 0);
      if (isSpecial === size >= 8 ** 11) assert.deepEqual(encodeHeader(path, size), block);
      else assert.throws(() => encodeHeader(path, size), { code: 'bundle-too-large' });
    }),
  );
});
