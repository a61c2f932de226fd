/** Hosts in the order in which people count, and together where the same is to be said of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { alike, namesText, naturally } from '../../src/core/alike.ts';

test('hosts are in the order of their numbers', () => {
  assert.deepEqual(['host-10', 'web', 'host-2', 'host-1'].sort(naturally), [
    'host-1',
    'host-2',
    'host-10',
    'web',
  ]);
});

test('what is the same is together, in the order of the first of each', () => {
  const groups = alike(['b1', 'a2', 'b3', 'c4'], (name) => name.charAt(0));
  assert.deepEqual(groups, [['b1', 'b3'], ['a2'], ['c4']]);
});

test('names are told as in a sentence, and of very many the first', () => {
  const names = Array.from({ length: 10 }, (_, i) => String(i));
  assert.deepEqual(
    [1, 2, 3, 9, 10].map((count) => namesText(names.slice(0, count))),
    ['0', '0 and 1', '0, 1 and 2', '0, 1, 2, 3, 4, 5, 6, 7 and 8', '0, 1, 2, 3, 4, 5, 6, 7 and 2 more'],
  );
});
