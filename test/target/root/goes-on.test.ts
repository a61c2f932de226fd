/** What root goes on with, where the system lies at its own place: a request up to the commit, and runs that were cut off. */
import assert from 'node:assert/strict';
import { mkdir, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { readFloor } from '../../../src/state/floor.ts';
import type { JournalRecord } from '../../../src/state/journal.ts';
import { resumeStopped } from '../../../src/target/activate/resume.ts';
import { askedRoot } from '../../support/asked-root.ts';
import { makeTestRelease } from '../../support/bundles.ts';
import { inOwnStore, placeSystem } from '../../support/own-store.ts';
import { storePathOf } from '../../support/releases.ts';
import {
  lastBoot,
  type Making,
  newSystem,
  oldSystem,
  rootInMemory,
  thisBoot,
} from '../../support/root-machine.ts';

const release = makeTestRelease();
const { toplevel } = release.release.manifest;
const before = { booted: oldSystem, running: oldSystem, generations: [oldSystem, newSystem] };

/** What was run of a system, and of Nix’s profile. */
const shortly = ({ argv: [program = '', verb = '', ...rest] }: { argv: readonly string[] }) => {
  if (program === 'nix-env') return [rest[3] ?? ''];
  if (!program.endsWith('/bin/switch-to-configuration')) return [];
  return [`${program.startsWith(oldSystem) ? 'old' : 'new'} ${verb}`];
};

async function resumed(t: TestContext, changes: Partial<JournalRecord>, making: Making = {}) {
  const made = await rootInMemory(t, { ...before, ...making });
  await made.write({ operation: 'switch', bootId: thisBoot, generation: undefined, ...changes });
  const receipts = await resumeStopped(made.machine);
  const { floor } = await readFloor(made.machine.floorDirectory);
  return {
    ...made,
    receipts,
    receipt: receipts[0],
    did: made.started.flatMap(shortly),
    floor: floor?.sequence,
  };
}

inOwnStore(import.meta.url, () => {
  test('asked for it, root activates what it would take, and commits', async (t) => {
    await placeSystem(toplevel);
    const { activate, started, machine } = await askedRoot(t, release, {
      ...before,
      generations: [oldSystem],
      policy: { reboot: { when: 'never' } },
    });
    const receipt = await activate(release, 1);
    assert.deepEqual([receipt?.state, receipt?.code], ['committed', undefined], receipt?.detail);
    assert.deepEqual(started.flatMap(shortly), ['new check', '--set', 'new boot', 'new switch']);
    assert.equal((await readFloor(machine.floorDirectory)).floor?.sequence, 7);
  });

  test('what is installed after weeks is what suits the machine then, and not when it was staged', async (t) => {
    const [quietOld, quietNew] = [storePathOf(8, 'quiet-old'), storePathOf(9, 'quiet-new')];
    for (const system of [oldSystem, toplevel, quietOld, quietNew]) await placeSystem(system);
    for (const [system, quiet] of [
      [oldSystem, quietOld],
      [toplevel, quietNew],
    ] as const) {
      await mkdir(join(system, 'specialisation'));
      await symlink(quiet, join(system, 'specialisation/quiet'));
    }
    let isAgreed = false;
    const { activate, lookAtStaged, runs, started, machine } = await askedRoot(t, release, {
      ...{ booted: oldSystem, running: quietOld, generations: [oldSystem] },
      policy: { reboot: { when: 'never' }, approval: { command: ['/agree'] } },
      answer: ([program]) => (program === '/agree' && !isAgreed ? { exitCode: 1 } : undefined),
    });
    const receipt = await activate(release, 1);
    assert.deepEqual([receipt?.state, receipt?.specialisation], ['staged', 'quiet'], receipt?.detail);
    const { currentSystem } = machine.settings;
    await rm(currentSystem);
    await symlink(oldSystem, currentSystem);
    isAgreed = true;
    await lookAtStaged(2);
    const [run] = await runs();
    assert.deepEqual([run?.state, run?.specialisation], ['committed', undefined]);
    assert.deepEqual(started.flatMap(shortly).slice(-3), ['--set', 'new boot', 'new switch']);
    assert.ok(!started.some(({ argv }) => argv[0]?.startsWith(quietNew)));
  });

  for (const [state, did] of [
    ['profile-set', ['--set', 'new boot', 'new switch']],
    ['boot-entry', ['new boot', 'new switch']],
    ['switched', ['new switch']],
    ['healthy', []],
  ] as const)
    test(`cut off at “${state}” within one boot, a good system is gone on with to the commit`, async (t) => {
      await placeSystem(newSystem);
      const { receipt, receipts, did: done, floor } = await resumed(t, { state });
      assert.deepEqual(
        [receipt?.state, receipts.length, receipt?.transaction],
        ['committed', 1, '0123456789ab'],
      );
      assert.deepEqual([done, floor], [[...did], 5]);
    });

  test('cut off by a restart into the new system, it waits to be confirmed', async (t) => {
    await placeSystem(newSystem);
    const came = { booted: newSystem, running: newSystem };
    const { receipt, did, floor } = await resumed(t, { state: 'switched', bootId: lastBoot }, came);
    assert.deepEqual([receipt?.state, did, floor], ['pending', [], undefined]);
    assert.match(receipt?.detail ?? '', /came up in the new system, which is not confirmed yet/);
    assert.match(receipt?.notices?.join() ?? '', /was restarted before the run ended/);
  });

  test('cut off by a restart into the old system, it is left', async (t) => {
    await placeSystem(newSystem);
    const { receipt, did } = await resumed(t, { state: 'switched', bootId: lastBoot });
    assert.deepEqual([receipt?.state, receipt?.code], ['rolled-back', 'interrupted']);
    assert.deepEqual(did, ['--switch-generation', '--delete-generations', 'old boot']);
  });

  test('a test that was cut off is undone, however good the system', async (t) => {
    await placeSystem(newSystem);
    const { receipt, did } = await resumed(t, { state: 'switched', operation: 'test' });
    assert.deepEqual([receipt?.state, did], ['rolled-back', ['old switch']]);
  });

  test('without its operation it is what the policy asks for', async (t) => {
    await placeSystem(newSystem);
    const { receipt } = await resumed(
      t,
      { state: 'profile-set', operation: undefined },
      { policy: { operation: 'boot' } },
    );
    assert.equal(receipt?.state, 'pending');
  });

  test('a system that has gone, or is none any more, is not gone on with', async (t) => {
    await placeSystem(newSystem);
    const invalid = (argv: readonly string[]) =>
      argv.includes('--check-validity') ? { exitCode: 1 } : undefined;
    const gone = await resumed(t, { state: 'boot-entry' }, { answer: invalid });
    assert.equal(gone.receipt?.state, 'rolled-back');
    await rm(`${newSystem}/nixos-version`);
    assert.equal((await resumed(t, { state: 'boot-entry' })).receipt?.state, 'rolled-back');
  });
});
