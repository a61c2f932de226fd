/** What was freed, as people read it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  type Freed,
  freedParser,
  freedText,
  isAnything,
  nothingFreed,
  together,
} from '../../../src/core/run/freed.ts';

const freed = (changes: Partial<Freed>): Freed => ({ ...nothingFreed, ...changes });

for (const [text, given] of [
  ['nothing freed', {}],
  ['generation 3 deleted', { generations: [3] }],
  ['generations 3-5, 7, 9-10 deleted', { generations: [9, 3, 4, 10, 5, 7] }],
  ['1 store path collected (1 KiB)', { paths: 1, bytes: 1024 }],
  [
    '20 store paths collected (2 MiB), 3 MiB freed on the boot partition',
    { paths: 20, bytes: 2 ** 21, bootBytes: 3 * 2 ** 20 },
  ],
  ['nothing freed; ended early: busy', { unfinished: 'busy' }],
] as [string, Partial<Freed>][])
  test(`“${text}”`, () => {
    assert.equal(freedText(freed(given)), text);
    assert.deepEqual(freedParser.parse(freed(given)), freed(given));
  });

test('two times are one: what was freed is added, and the later reason counts', () => {
  const one = freed({ generations: [1], paths: 2, bytes: 3, bootBytes: 4, unfinished: 'a' });
  const other = freed({ generations: [5], paths: 6, bytes: 7, bootBytes: 8 });
  assert.deepEqual(together(one, other), {
    generations: [1, 5],
    paths: 8,
    bytes: 10,
    bootBytes: 12,
    unfinished: 'a',
  });
  assert.equal(together(one, freed({ unfinished: 'b' })).unfinished, 'b');
  assert.equal(together(undefined, other), other);
});

test('anything is a generation, a path or a byte of the boot partition', () => {
  assert.equal(isAnything(nothingFreed), false);
  assert.equal(isAnything(freed({ unfinished: 'x', bytes: 1 })), false);
  for (const some of [{ generations: [1] }, { paths: 1 }, { bootBytes: 1 }])
    assert.ok(isAnything(freed(some)));
});
