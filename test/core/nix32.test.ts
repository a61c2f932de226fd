/** Nix’s base 32 as a number: the bytes are one, least significant first, and so are the digits, written the other way round. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeNix32, encodeNix32 } from '../../src/core/nix32.ts';
import { nix32 } from '../../src/core/store-path.ts';

/** By arithmetic with one large number. */
function spelt(bytes: Uint8Array): string {
  let number = 0n;
  for (const [i, byte] of bytes.entries()) number += BigInt(byte) << BigInt(8 * i);
  let text = '';
  for (let i = 0; i < Math.ceil((8 * bytes.length) / 5); i++) {
    text = `${nix32[Number(number % 32n)]}${text}`;
    number /= 32n;
  }
  return text;
}

test('bytes of any length are spelt as the number that they are, and read back from that alone', () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 70 }), (bytes) => {
      const text = encodeNix32(bytes);
      assert.equal(text, spelt(bytes));
      assert.deepEqual(decodeNix32(text, bytes.length), bytes);
      assert.equal(decodeNix32(`0${text}`, bytes.length), undefined);
      assert.equal(decodeNix32(text.slice(1), bytes.length), undefined);
    }),
  );
});

test('what is read is what would be written, whatever the digits', () => {
  const digits = fc.string({ unit: fc.constantFrom(...nix32, 'e', 'Z', 'ä'), minLength: 1, maxLength: 12 });
  fc.assert(
    fc.property(digits, fc.integer({ min: 1, max: 8 }), (text, length) => {
      const bytes = decodeNix32(text, length);
      if (bytes !== undefined) return assert.equal(spelt(bytes), text);
      // Nothing that can be written is refused.
      const isSpelling =
        text.length === Math.ceil((8 * length) / 5) && [...text].every((c) => nix32.includes(c));
      if (!isSpelling) return;
      const number = [...text].reduce((sum, c) => sum * 32n + BigInt(nix32.indexOf(c)), 0n);
      assert.ok(number >= 1n << BigInt(8 * length), `${text} is ${length} bytes`);
    }),
    { numRuns: 2000 },
  );
});
