import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encodeIndex } from '../../../src/core/release/write-index.ts';
import { indexedPath, storePathOf } from '../../support/releases.ts';

test('a path with many ways to it is looked at once', () => {
  // With each level twice as many ways: 2^40 of them.
  const levels = Array.from({ length: 40 }, (_, level) => 2 * level);
  const lattice = levels.flatMap((at) => {
    const below = at === 0 ? [] : [at - 2, at - 1];
    return [indexedPath(at, below), indexedPath(at + 1, below)];
  });
  const { paths } = encodeIndex([...lattice, indexedPath(90, [78, 79])], storePathOf(90));
  assert.equal(paths.length, 81);
});
