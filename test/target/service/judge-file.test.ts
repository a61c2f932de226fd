/** When a file of the inbox is still the one that was looked at. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hasGrown, isUnchanged } from '../../../src/target/service/judge-file.ts';

const file = (inode: number, size: number, times: string) => ({
  ...{ inode, size, isEmpty: size === 0 },
  text: `${inode}:${size}:${times}`,
});

test('another inode alone, or another ctime alone, is no other file; both, another size or another time is', () => {
  const { text } = file(7, 100, '5:5');
  assert.ok(isUnchanged(text, file(8, 100, '5:5')), 'FUSE');
  assert.ok(isUnchanged(text, file(7, 100, '5:6')), 'chmod');
  assert.ok(!isUnchanged(text, file(8, 100, '5:6')), 'a rename over it');
  assert.ok(!isUnchanged(text, file(7, 101, '5:5')));
  assert.ok(!isUnchanged(text, file(7, 100, '6:6')));
});

test('of a classic pair, another file beside it makes it another', () => {
  const { text } = file(7, 100, '5:5:10 1:-');
  assert.ok(isUnchanged(text, file(7, 100, '5:5:10 1:-')));
  assert.ok(!isUnchanged(text, file(7, 100, '5:5:11 2:-')));
});

test('what has grown may be the same file with more of it; what is smaller, or has another inode, is another', () => {
  assert.ok(hasGrown(file(7, 100, '5:5'), file(7, 200, '6:6')));
  assert.ok(!hasGrown(file(7, 100, '5:5'), file(7, 50, '6:6')));
  assert.ok(!hasGrown(file(7, 100, '5:5'), file(8, 200, '6:6')));
});
