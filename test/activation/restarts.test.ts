/** Which services crash over and over, by what systemd shows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHealth, listUnwellUnits } from '../../src/activation/health.ts';
import { parseRestarts, unsteady } from '../../src/activation/restarts.ts';
import { policyParser } from '../../src/core/policy/policy.ts';
import type { ProcessRunner } from '../../src/core/ports.ts';
import { systemClock } from '../../src/process/clock.ts';
import { policy } from '../support/manifests.ts';

const block = (unit: string, count: number, state: string) =>
  `NRestarts=${count}\nId=${unit}\nSubState=${state}\n`;
const shown = (...blocks: readonly string[]) => blocks.join('\n');

test('what systemd has started again, and what waits for it, is read of all that it shows', () => {
  const text = shown(
    block('quiet.service', 0, 'running'),
    block('once.service', 1, 'running'),
    block('first.service', 0, 'auto-restart'),
    block('queued.service', 7, 'auto-restart-queued'),
  );
  assert.deepEqual(
    [...parseRestarts(text)],
    [
      ['once.service', { count: 1, waits: false }],
      ['first.service', { count: 0, waits: true }],
      ['queued.service', { count: 7, waits: true }],
    ],
  );
  assert.deepEqual([...parseRestarts('')], []);
});

for (const [what, now, before, known, found] of [
  ['down at the look', [1, true], [1, false], [], ['x.service']],
  ['started again since the look before', [2, false], [1, false], [], ['x.service']],
  ['started again for the first time', [1, false], undefined, [], ['x.service']],
  ['up since its second try', [1, false], [1, false], [], []],
  ['like that before the switch', [9, true], [8, true], ['x.service'], []],
] as const)
  test(`a unit that is ${what} is ${found.length === 0 ? 'no news' : 'not well'}`, () => {
    const as = (one: readonly [number, boolean] | undefined) =>
      new Map(one === undefined ? [] : [['x.service', { count: one[0], waits: one[1] }]]);
    assert.deepEqual(unsteady(as(now), as(before), known), found);
  });

/** One look after the other sees a service with these counts; none ever fails. */
async function healthOf(counts: readonly number[], failedBefore: readonly string[] = []) {
  let at = 0;
  const run: ProcessRunner = async (_, [verb]) => {
    const count = counts[Math.min(at, counts.length - 1)] ?? 0;
    if (verb === 'show') at += 1;
    const stdout = verb === 'show' ? block('x.service', count, 'running') : '';
    return { exitCode: 0, stdout, stderrTail: [], timedOut: false, startError: undefined };
  };
  const clock = { ...systemClock, sleep: async () => undefined };
  const { health } = policyParser.parse({ ...policy, health: { retries: 2 } });
  assert.ok(health !== undefined);
  return (await checkHealth({ run, clock, failedBefore }, health)).map(({ ok, detail }) => detail ?? ok);
}

test('one that goes on crashing is never well; one that settles within the looks is', async () => {
  assert.deepEqual(await healthOf([0, 1, 2, 3]), [true, 'x.service']);
  assert.deepEqual(await healthOf([0, 1, 1]), [true, true]);
  assert.deepEqual(await healthOf([5, 5]), [true, true], 'what was so before the first look is no news');
  assert.deepEqual(await healthOf([0, 1, 2, 3], ['x.service']), [true, true]);
});

test('a unit that was started again once and ran is news when it has failed after the switch', async () => {
  let failed = '';
  const run: ProcessRunner = async (_, [verb]) => ({
    ...{ exitCode: 0, stderrTail: [], timedOut: false, startError: undefined },
    stdout:
      verb === 'show'
        ? shown(block('x.service', 1, 'running'), block('y.service', 2, 'auto-restart'))
        : failed,
  });
  const before = await listUnwellUnits(run);
  assert.deepEqual(before, { failed: ['y.service'], restarted: ['x.service'] });
  failed = 'x.service loaded failed failed It\n';
  const clock = { ...systemClock, sleep: async () => undefined };
  const { health } = policyParser.parse({ ...policy, health: { retries: 0 } });
  assert.ok(health !== undefined && before !== undefined);
  const context = { run, clock, failedBefore: before.failed, restartedBefore: before.restarted };
  assert.deepEqual(
    (await checkHealth(context, health)).map(({ ok, detail }) => detail ?? ok),
    ['x.service', true],
  );
});
