/** How long what can’t be taken now is left alone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ReasonCode } from '../../../src/core/errors.ts';
import { Postponed, retryFrom, retryUpTo } from '../../../src/target/update/postponed.ts';

/** The pauses of a file that is tried whenever it is due. Milliseconds. */
function pauses(code: ReasonCode, count: number): number[] {
  let time = 0;
  const postponed = new Postponed({ monotonic: () => time, now: () => new Date(time) });
  const file = { path: '/inbox/web.tar', fingerprint: '1' };
  return Array.from({ length: count }, () => {
    postponed.backOff(file, { code, isOurs: true });
    const left = postponed.left(file);
    time += left;
    return left;
  });
}

test('each pause is twice as long as the one before it, up to a quarter of an hour', () => {
  const found = pauses('no-space', 12);
  assert.deepEqual(found.slice(0, 3), [retryFrom, 2 * retryFrom, 4 * retryFrom]);
  assert.deepEqual(found.slice(-2), [retryUpTo, retryUpTo]);
});

test('half a copy is looked at less and less often, and again at once where more of it has come', () => {
  const postponed = new Postponed({ monotonic: () => 0, now: () => new Date(0) });
  const file = { path: '/stick/nixmaker/hosts/web/1', fingerprint: 'of its manifest' };
  const look = (detail: string, code: ReasonCode = 'incomplete') => {
    postponed.backOff(file, { code, detail, isOurs: true }, 100);
    return postponed.left(file);
  };
  const [some, more] = ['2 of 9 bytes are there', '5 of 9 bytes are there'];
  assert.deepEqual(
    [some, some, some, more, more].map((said) => look(said)),
    [100, 200, 400, 100, 200],
  );
  assert.deepEqual(
    [look('x', 'no-space'), look('y', 'no-space')],
    [400, 800],
    'of anything else no words count',
  );
});

test('what waits for a window meets the shortest there is, however long it has waited', () => {
  const longest = Math.max(...pauses('outside-window', 20));
  assert.ok(longest < 60_000, `${longest} ms`);
});
