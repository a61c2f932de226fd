/** Which services crash over and over, by what systemd shows. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkHealth, listUnwellUnits } from '../../src/activation/health.ts';
import { likeBefore, parseRestarts, restartedText, unsteady } from '../../src/activation/restarts.ts';
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

test('since when a unit is up is read where it is', () => {
  const up = 'ActiveEnterTimestampMonotonic=2500000\n';
  const text = shown(
    `${block('x.service', 3, 'running')}${up}`,
    `${block('y.service', 3, 'auto-restart')}${up}`,
  );
  assert.deepEqual(
    [...parseRestarts(text).values()],
    [
      { count: 3, waits: false, upSince: 2500 },
      { count: 3, waits: true },
    ],
  );
});

const year = 31_536_000;
for (const [what, upFor, seconds, first, now, excused] of [
  ['was started again a year ago, and now comes down once', year, 5, 1, 2, false],
  ['was started again a year ago, and stays up', year, 5, 1, 1, true],
  ['came up ten seconds ago, and comes down once', 10, 5, 7, 8, true],
  ['came up ten seconds ago, and comes down every second', 10, 5, 7, 12, false],
  ['came up ten minutes ago, and comes down at each look', 600, 30, 1, 4, false],
  ['came up just now, and comes down every second', 0, 5, 7, 12, true],
  ['came up nobody knows when', undefined, 5, 1, 9, true],
] as const)
  test(`a unit that ${what} is ${excused ? 'as before the switch' : 'news'}`, () => {
    const as = (count: number) => new Map([['x.service', { count, waits: false }]]);
    const watched = { first: as(first), now: as(now), seconds };
    const restarted = [restartedText('x.service', upFor)];
    assert.deepEqual(likeBefore(restarted, watched), excused ? ['x.service'] : []);
  });

test('one that waits to be started again counts as started again', () => {
  const [first, now] = [false, true].map((waits) => new Map([['x.service', { count: 1, waits }]]));
  assert.ok(first !== undefined && now !== undefined);
  assert.deepEqual(likeBefore([`x.service=${year}`], { first, now, seconds: 5 }), []);
  assert.deepEqual(likeBefore(['x.service=20'], { first, now, seconds: 5 }), ['x.service']);
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
  const before = await listUnwellUnits({ run, clock: systemClock });
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

test('a unit that was started again long ago, and crashes over and over after the switch, is news', async () => {
  let count = 1;
  const up = `ActiveEnterTimestampMonotonic=1\n`;
  const run: ProcessRunner = async (_, [verb]) => ({
    ...{ exitCode: 0, stderrTail: [], timedOut: false, startError: undefined },
    stdout: verb === 'show' ? `${block('x.service', count, 'running')}${up}` : '',
  });
  const clock = { ...systemClock, kernel: () => 1000 * year, sleep: async () => undefined };
  const before = await listUnwellUnits({ run, clock });
  assert.deepEqual(before, { failed: [], restarted: [`x.service=${year}`] });
  const { health } = policyParser.parse({ ...policy, health: { retries: 1 } });
  assert.ok(health !== undefined && before !== undefined);
  const context = { run, failedBefore: before.failed, restartedBefore: before.restarted };
  const looks = async () => {
    count += 1;
  };
  assert.deepEqual(
    (await checkHealth({ ...context, clock: { ...clock, sleep: looks } }, health)).map(
      ({ ok, detail }) => detail ?? ok,
    ),
    [true, 'x.service'],
  );
  assert.deepEqual(
    (await checkHealth({ ...context, clock }, health)).map(({ ok }) => ok),
    [true, true],
  );
});
