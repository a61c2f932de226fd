/** Sizes as people read them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { arrivedText, sizeText, unlikeSizes } from '../../src/core/size.ts';

test('three digits and one kind of unit', () => {
  const sizes = [0, 1023, 26_112, 1024 ** 2, 5.5 * 1024 ** 3];
  assert.deepEqual(sizes.map(sizeText), ['0 B', '1023 B', '25.5 KiB', '1 MiB', '5.5 GiB']);
});

test('two sizes that differ never read the same', () => {
  assert.deepEqual(unlikeSizes(2 ** 30 + 1, 2 ** 30), ['1073741825 bytes', '1073741824 bytes']);
  assert.deepEqual(unlikeSizes(2 ** 31, 2 ** 30), ['2 GiB', '1 GiB']);
  assert.deepEqual(unlikeSizes(2 ** 30, 2 ** 30), ['1 GiB', '1 GiB']);
  const size = fc.maxSafeNat();
  fc.assert(
    fc.property(size, size, (one, other) => {
      const [a, b] = unlikeSizes(one, other);
      assert.equal(a === b, one === other);
    }),
  );
});

test('of what is on its way it is said how much is here, and of how much, where that is known', () => {
  assert.equal(arrivedText(4000, 12_000), '3.91 KiB of 11.7 KiB are here');
  assert.equal(arrivedText(4000, undefined), '3.91 KiB are here');
  assert.equal(arrivedText(99_999, 100_000), '99999 bytes of 100000 bytes are here');
});
