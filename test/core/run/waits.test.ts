/** What waits, as it is kept and as people read it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  mostWaits,
  needsPerson,
  toWaits,
  type Wait,
  waitsParser,
  waitText,
} from '../../../src/core/run/waits.ts';

const wait = (changes: Partial<Wait> = {}): Wait => ({
  path: '/inbox/web.tar',
  code: 'nix-unavailable',
  since: '2026-11-29T06:42:07Z',
  ...changes,
});

test('the record keeps the first so many, and says how many are beyond', () => {
  const all = Array.from({ length: mostWaits + 3 }, (_, n) => wait({ path: `/inbox/${n}.tar` }));
  const { waits, more } = toWaits(all);
  assert.deepEqual(waits, all.slice(0, mostWaits));
  assert.equal(more, 3);
  assert.equal(toWaits(all.slice(0, mostWaits)).more, 0);
  assert.equal(waitsParser.safeParse(toWaits(all)).success, true);
});

test('a long path or message is cut, and costs nothing else of the record', () => {
  const { waits } = toWaits([wait({ path: 'p'.repeat(5000), detail: 'd'.repeat(5000) }), wait()]);
  assert.deepEqual(waits, [wait({ path: 'p'.repeat(4096), detail: 'd'.repeat(4096) }), wait()]);
});

test('one that waits is a line: since when, why, how often, and when again', () => {
  assert.equal(waitText(wait()), '/inbox/web.tar: nix-unavailable, since 2026-11-29 06:42 UTC');
  assert.equal(
    waitText(wait({ detail: 'no socket', tries: 2, again: '2026-11-29T07:15:59Z' })),
    '/inbox/web.tar: nix-unavailable (no socket), since 2026-11-29 06:42 UTC, tried 2 times, next try at 2026-11-29 07:15:59 UTC',
  );
  assert.doesNotMatch(waitText(wait({ tries: 1 })), /tried/);
});

test('what only a person mends is told apart', () => {
  for (const code of ['io-error', 'no-access', 'medium-unreadable', 'medium-stalled', 'misnamed'])
    assert.equal(needsPerson(code), true, code);
  assert.equal(needsPerson('nix-unavailable'), false);
});
