/** What an update needs of a disk. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { needOf } from '../../src/core/room.ts';

test('each part of a need counts: contents and their map, names, and Nix’s database', () => {
  assert.deepEqual(needOf({ paths: 0, blocks: 0, files: 0 }), { bytes: 0, files: 0 });
  assert.deepEqual(needOf({ paths: 0, blocks: 640, files: 0 }), { bytes: 640 * 4096 + 40_960, files: 0 });
  assert.deepEqual(needOf({ paths: 0, blocks: 0, files: 1000 }), { bytes: 64_000, files: 1000 });
  assert.deepEqual(needOf({ paths: 3, blocks: 0, files: 0 }), { bytes: 3 * 4096, files: 0 });
  assert.equal(needOf({ paths: 3, blocks: 640, files: 1000 }).bytes, 640 * 4096 + 40_960 + 64_000 + 3 * 4096);
});
