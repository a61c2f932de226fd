/** What root does with a release whose time has not come, asked by an agent: kept, looked at again, installed, dropped. */
import assert from 'node:assert/strict';
import { mkdir, readdir, rm, symlink } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { Policy } from '../../../src/core/policy/policy.ts';
import { readJournal } from '../../../src/state/journal.ts';
import { readReceipt } from '../../../src/state/receipts.ts';
import { readStagedRecord, writeStagedRecord } from '../../../src/state/staged.ts';
import { settleStaged } from '../../../src/target/root/settle-staged.ts';
import { askedRoot, requestId } from '../../support/asked-root.ts';
import { makeTestRelease } from '../../support/bundles.ts';
import type { Making } from '../../support/root-machine.ts';

const good = makeTestRelease();
const shut = { window: { from: '02:00', to: '03:00' } };

/** Root with the release staged, by the first request. */
async function withStaged(t: TestContext, making: Making = {}) {
  const asked = await askedRoot(t, good, { policy: shut, ...making });
  const { machine } = asked;
  const { stateDirectory } = machine.settings;
  const receipt = await asked.activate(good, 1);
  return {
    ...asked,
    receipt,
    record: () => readStagedRecord(stateDirectory, good.digest),
    lines: async () => (await readJournal(stateDirectory)).records,
    receiptOf: (n: number) => readReceipt(stateDirectory, requestId(n)),
    left: async () => [
      ...(await readdir(join(stateDirectory, 'staged'))),
      ...(await readdir(join(stateDirectory, 'roots'))),
    ],
    open: () => Object.assign(machine, { policy: { ...machine.policy, window: undefined } as Policy }),
  };
}

test('outside of the window root keeps what was signed, with roots of its own, and says so', async (t) => {
  const { receipt, left, lines, record, started } = await withStaged(t);
  assert.deepEqual([receipt?.state, receipt?.code], ['staged', 'outside-window']);
  assert.match(receipt?.detail ?? '', /the window opens at 2026-11-29T02:00/);
  const { digest } = good;
  assert.deepEqual(await left(), [digest, `staged-${digest}`, `staged-${digest}-drv`]);
  assert.deepEqual(
    (await lines()).map(({ state }) => state),
    ['discovered', 'verified', 'accepted', 'imported', 'realised', 'staged'],
  );
  assert.equal((await record())?.code, 'outside-window');
  assert.ok(!started.some(({ argv }) => argv.some((a) => a.includes('switch-to-configuration'))));
});

test('asked for it again, root answers that it is there, and records nothing more', async (t) => {
  const { activate, lines } = await withStaged(t);
  const before = await lines();
  for (const n of [2, 3]) {
    const receipt = await activate(good, n);
    assert.deepEqual([receipt?.state, receipt?.code], ['committed', undefined]);
    assert.match(receipt?.detail ?? '', /already in the store and waiting for its time/);
  }
  assert.deepEqual(await lines(), before);
});

test('however often it is looked at, waiting adds nothing to the journal, and each look is answered', async (t) => {
  const { lookAtStaged, lines, record, receiptOf } = await withStaged(t);
  const before = await lines();
  for (const n of [2, 3]) {
    await lookAtStaged(n);
    assert.equal((await record())?.answered, requestId(n));
  }
  assert.deepEqual(await lines(), before);
  assert.equal((await receiptOf(1))?.state, 'staged');
});

test('a look where nothing is staged does no harm', async (t) => {
  const { lookAtStaged, machine, runs } = await askedRoot(t, good);
  await lookAtStaged(1);
  assert.deepEqual(await runs(), []);
  assert.deepEqual(await readdir(join(machine.requestsDirectory, 'staged')), []);
});

test('once the window is open it is compared with the store once more, and one that differs is not installed', async (t) => {
  let isDifferent = false;
  const { lookAtStaged, left, open, runs } = await withStaged(t, {
    answer: (argv) => (isDifferent && argv.includes('path-info') ? { stdout: '{}' } : undefined),
  });
  open();
  isDifferent = true;
  await lookAtStaged(2);
  const [run] = await runs();
  assert.deepEqual([run?.state, run?.code], ['failed', 'staged-lost']);
  assert.match(String(run?.detail), /is not in the store/);
  assert.deepEqual(await left(), []);
});

test('one that was staged for too long is dropped', async (t) => {
  const { lookAtStaged, left, machine, runs } = await withStaged(t);
  await machine.clock.sleep(91 * 86_400_000);
  await lookAtStaged(2);
  const [run] = await runs();
  assert.deepEqual([run?.state, run?.code], ['refused', 'staged-too-long']);
  assert.match(String(run?.detail), /the policy allows 90 days$/);
  assert.deepEqual(await left(), []);
});

test('a Nix that does not answer costs nobody a staged release', async (t) => {
  let isDown = false;
  const { lookAtStaged, record, open, runs } = await withStaged(t, {
    answer: (argv) =>
      isDown && argv.includes('path-info')
        ? { exitCode: 1, stderrTail: ['error: database disk image is malformed'] }
        : undefined,
  });
  open();
  isDown = true;
  await lookAtStaged(2);
  assert.equal((await runs())[0]?.state, 'staged');
  assert.equal((await record())?.answered, requestId(2));
});

for (const [what, code, times, isAgain] of [
  ['was cut off', 'interrupted', 0, true],
  ['found no room', 'no-space', 2, true],
  ['was cut off time and again', 'interrupted', 3, false],
  ['failed its health checks', 'health-failed', 0, false],
] as const)
  test(`a release whose installation ${what} is ${isAgain ? 'staged once more' : 'dropped'}`, async (t) => {
    const { left, machine, record, runs, write } = await withStaged(t);
    const before = await record();
    assert.ok(before !== undefined);
    await writeStagedRecord(machine.floorDirectory, good.digest, { ...before, times });
    const { manifestDigest, sequence } = (await runs())[0] ?? {};
    await write({
      ...{ transaction: requestId(1), state: 'rolled-back', code, detail: 'as it happens' },
      ...{ manifestDigest, sequence },
    });
    await settleStaged(machine);
    const after = await runs();
    const stagedRuns = after.filter(({ state }) => state === 'staged');
    assert.equal(stagedRuns.length, Number(isAgain));
    assert.equal((await left()).length > 0, isAgain);
    if (!isAgain) return;
    assert.notEqual(stagedRuns[0]?.transaction, requestId(1), 'a run of its own');
    assert.deepEqual(
      [stagedRuns[0]?.code, stagedRuns[0]?.manifestDigest, (await record())?.times],
      [code, manifestDigest, times + 1],
    );
  });

test('of two in the journal, as a cut between them leaves them, the newer stays', async (t) => {
  const { left, machine, runs, write } = await withStaged(t);
  const newer = { transaction: requestId(9), state: 'staged', sequence: 99, manifestDigest: 'e'.repeat(64) };
  await write(newer as Parameters<typeof write>[0]);
  await settleStaged(machine);
  assert.deepEqual(
    (await runs()).map(({ transaction, state }) => [transaction, state]),
    [
      [requestId(1), 'superseded'],
      [requestId(9), 'staged'],
    ],
  );
  assert.deepEqual(await left(), []);
});

test('roots that a cut has left with nothing else do not hold a release for ever', async (t) => {
  const { left, machine } = await withStaged(t);
  const [before, roots] = [await left(), join(machine.settings.stateDirectory, 'roots')];
  for (const name of ['', '-drv', '-drv.new'])
    await symlink('/nix/store/gone', join(roots, `staged-${'e'.repeat(64)}${name}`));
  await settleStaged(machine);
  assert.deepEqual(await left(), before);
});

test('what can’t be removed holds up neither what is staged nor anything else, and goes when it can be', async (t) => {
  const { events, left, lookAtStaged, machine, makeRoom } = await withStaged(t);
  const stuck = [
    join(machine.floorDirectory, 'staged', 'e'.repeat(64)),
    join(machine.settings.stateDirectory, 'roots', `staged-${'e'.repeat(64)}`),
  ];
  for (const folder of stuck) await mkdir(folder);
  await mkdir(join(machine.floorDirectory, 'staged', 'f'.repeat(64)));
  await machine.clock.sleep(91 * 86_400_000);
  await lookAtStaged(2);
  assert.deepEqual(
    await left(),
    stuck.map((path) => basename(path)),
    'the others have gone',
  );
  assert.ok(events.some(({ event }) => event === 'staged-not-settled'));
  assert.ok((await makeRoom(good, 3)) !== undefined);
  await rm(stuck[1] ?? '', { recursive: true });
  await settleStaged(machine);
  assert.deepEqual(await left(), []);
});

const newer = makeTestRelease({ manifest: { sequence: 8 } });
for (const [giveWay, states] of [
  [false, ['staged']],
  [true, ['superseded']],
] as const)
  test(`for a newer release that finds no room it ${giveWay ? 'goes' : 'stays'}, as the policy says`, async (t) => {
    const policy = { ...shut, collect: 'when-needed', limits: { freeBytes: 2 ** 50 }, stage: { giveWay } };
    const { left, makeRoom, runs } = await withStaged(t, { policy });
    const answer = await makeRoom(newer, 2);
    assert.ok(answer !== undefined && 'freed' in answer, JSON.stringify(answer));
    assert.deepEqual(
      (await runs()).map(({ state }) => state),
      states,
    );
    assert.equal((await left()).length > 0, !giveWay);
  });
