/** Room for names in FAT’s folders, keys in a file, and how an encrypted bundle is told from others. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encryptedMagic, isEncrypted, keyLines } from '../../../src/core/bundle/encrypted.ts';
import { entriesOfFolder, missingEntries } from '../../../src/core/bundle/fat-names.ts';

/** Thirteen units to an entry, and one for the short name (fatgen103, “Long Directory Entries”). */
function entries(name: string): number {
  let count = 1;
  for (let rest = name.length; rest > 0; rest -= 13) count += 1;
  return count;
}

const name = (length: number, n: number) => String(n).padStart(length, 'x');

test('a folder has room for so many entries, each name once, and not for one more', () => {
  const free = entriesOfFolder - 64;
  // Names of 13 units take two entries, and of 14 three.
  const full = Array.from({ length: free / 2 }, (_, n) => name(13, n));
  assert.equal(missingEntries({ there: full, wanted: [] }), 0);
  assert.equal(missingEntries({ there: [], wanted: full }), 0);
  assert.equal(missingEntries({ there: full, wanted: full }), 0);
  assert.equal(missingEntries({ there: full.slice(1), wanted: [name(14, 1)] }), 1);
  assert.equal(missingEntries({ there: full, wanted: ['y'] }), 2);
});

test('what is missing is what all names take beyond the room, whatever is there already', () => {
  const names = fc.uniqueArray(fc.string({ minLength: 1, maxLength: 60 }), { maxLength: 20 });
  const padding = Array.from({ length: 32_720 }, (_, n) => name(13, n));
  fc.assert(
    fc.property(names, names, (there, wanted) => {
      const all = [...new Set([...padding, ...there, ...wanted])];
      const over = all.reduce((sum, n) => sum + entries(n), 64) - 65_536;
      assert.equal(missingEntries({ there: [...padding, ...there], wanted }), over > 0 ? over : 0);
    }),
    { numRuns: 5 },
  );
});

test('of a file of keys each line is one, but for empty ones and comments', () => {
  assert.deepEqual(keyLines('# me\n\n  age1x  \n#age1y\r\n age1z\n   \n'), ['age1x', 'age1z']);
  assert.deepEqual(keyLines(''), []);
});

test('what begins as an age file does is encrypted, and nothing shorter or other', () => {
  const magic = Buffer.from(encryptedMagic);
  assert.ok(isEncrypted(magic));
  assert.ok(isEncrypted(Buffer.concat([magic, Buffer.from('->')])));
  for (let at = 0; at < magic.length; at++) {
    assert.ok(!isEncrypted(magic.subarray(0, at)));
    const other = Buffer.from(magic);
    other[at] = (other[at] ?? 0) ^ 1;
    assert.ok(!isEncrypted(other), String(at));
  }
});
