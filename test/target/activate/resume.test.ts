/** Runs that were cut off after they had begun to change the machine, where what they brought is no longer usable, and the way back. */
import assert from 'node:assert/strict';
import { symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { JournalRecord } from '../../../src/state/journal.ts';
import { resumeStopped } from '../../../src/target/activate/resume.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import {
  lastBoot,
  type Making,
  newSystem,
  oldSystem,
  rootInMemory,
  thisBoot,
} from '../../support/root-machine.ts';

const midway = { booted: oldSystem, running: oldSystem, generations: [oldSystem, newSystem] };

async function resumed(t: TestContext, changes: Partial<JournalRecord>, making: Making = {}) {
  const made = await rootInMemory(t, { ...midway, ...making });
  await made.write({ operation: 'switch', bootId: thisBoot, ...changes });
  const [receipt] = await resumeStopped(made.machine);
  const programs = made.started
    .map(({ argv }) => argv.join(' ').replace(made.machine.settings.profile, 'PROFILE'))
    .filter((line) => /switch-to-configuration|generation/.test(line));
  return { ...made, receipt, programs };
}

const back = [
  'nix-env --store daemon --profile PROFILE --switch-generation 1',
  'nix-env --store daemon --profile PROFILE --delete-generations 2',
  `${oldSystem}/bin/switch-to-configuration boot`,
];
const runAgain = `${oldSystem}/bin/switch-to-configuration switch`;

test('a system that can’t be used any more is left: profile, generation, boot entry', async (t) => {
  const { receipt, programs } = await resumed(t, { state: 'boot-entry' });
  assert.deepEqual([receipt?.state, receipt?.code], ['rolled-back', 'interrupted']);
  assert.equal(receipt?.detail, 'it stopped in state boot-entry');
  assert.deepEqual([programs, receipt?.notices], [back, undefined]);
});

test('where the profile is back already the menu is made again if it was touched, and nothing is written if not', async (t) => {
  const back = { generations: [oldSystem] };
  const touched = await resumed(t, { state: 'boot-entry' }, back);
  assert.deepEqual(touched.programs, [`${oldSystem}/bin/switch-to-configuration boot`]);
  const untouched = await resumed(t, { state: 'profile-set' }, back);
  assert.deepEqual([untouched.programs, untouched.receipt?.state], [[], 'rolled-back']);
});

test('where the switch had begun the old system is switched to as well', async (t) => {
  const { programs } = await resumed(t, { state: 'switched' });
  assert.deepEqual(programs, [...back, runAgain]);
});

test('a rollback that was cut off goes on for the reason it was begun for', async (t) => {
  const { receipt } = await resumed(t, { state: 'rolling-back', code: 'health-failed', detail: 'failed: x' });
  assert.deepEqual(
    [receipt?.state, receipt?.code, receipt?.detail],
    ['rolled-back', 'health-failed', 'failed: x'],
  );
});

test('a rollback that was begun without a word goes on without one', async (t) => {
  const { receipt } = await resumed(t, { state: 'rolling-back', code: 'health-failed' });
  assert.deepEqual([receipt?.state, receipt?.code, receipt?.detail], ['rolled-back', 'health-failed', '']);
});

test('a rollback that had moved the profile goes on, though the machine was started into what there is no way back from', async (t) => {
  const changes = { state: 'rolling-back', bootId: lastBoot, noWayBack: 'the database is migrated' } as const;
  const started = { booted: newSystem, running: newSystem };
  const half = await resumed(t, changes, { ...started, generations: [oldSystem] });
  assert.deepEqual([half.receipt?.state, half.receipt?.code], ['rolled-back', 'interrupted']);
  const whole = await resumed(t, changes, started);
  assert.deepEqual([whole.receipt?.state, whole.receipt?.code], ['failed', 'left-unwell']);
});

test('a trial is taken back also where the profile, which it has not touched, can’t be read', async (t) => {
  const loop = join(await temporaryFolder(t), 'loop');
  await symlink(loop, loop);
  const changes = { state: 'rolling-back', operation: 'test' } as const;
  const making = { running: newSystem, settings: { profile: join(loop, 'system') } };
  const { receipt, programs } = await resumed(t, changes, making);
  assert.deepEqual([receipt?.state, programs], ['rolled-back', [runAgain]]);
});

test('where putting back fails, everything is tried all the same, and it is told', async (t) => {
  const answer = ([program]: readonly string[]) =>
    program?.endsWith('switch-to-configuration') === true ? { exitCode: 1 } : undefined;
  const { receipt, programs } = await resumed(t, { state: 'switched' }, { answer });
  assert.deepEqual([receipt?.state, receipt?.code], ['failed', 'rollback-failed']);
  assert.match(receipt?.detail ?? '', /while restoring: .*boot: .*; .*switch: /);
  assert.deepEqual(programs, [...back, runAgain]);
});

test('a generation that an operator chose stays, whatever becomes of the run', async (t) => {
  const { programs } = await resumed(t, { state: 'boot-entry', targetGeneration: 2 });
  assert.deepEqual(programs, [back[0], back[2]]);
});

test('an older generation of the same system was there before, and stays', async (t) => {
  const { programs } = await resumed(
    t,
    { state: 'boot-entry', previousGeneration: 2 },
    { generations: [newSystem, oldSystem, newSystem] },
  );
  assert.deepEqual(programs.slice(0, 2), [
    'nix-env --store daemon --profile PROFILE --switch-generation 2',
    'nix-env --store daemon --profile PROFILE --delete-generations 3',
  ]);
  assert.equal(programs.filter((line) => line.includes('--delete')).length, 1);
});

test('what was only tried out ends: a dry run changed nothing, a test is undone', async (t) => {
  const dry = await resumed(t, { state: 'switched', operation: 'dry-activate' });
  assert.deepEqual([dry.receipt?.state, dry.receipt?.code], ['failed', 'interrupted']);
  assert.deepEqual(dry.programs, []);
  const tried = await resumed(t, { state: 'switched', operation: 'test' });
  assert.equal(tried.receipt?.state, 'rolled-back');
  assert.deepEqual(tried.programs, [runAgain]);
});

test('after a restart into the old system nothing is switched to: it runs already', async (t) => {
  const { programs } = await resumed(t, { state: 'switched', bootId: 'boot-1' });
  assert.deepEqual(programs, back);
});

test('after a restart into the system that is to go, the old one is switched to', async (t) => {
  const { receipt, programs } = await resumed(
    t,
    { state: 'switched', bootId: 'boot-1' },
    { running: newSystem, booted: newSystem },
  );
  assert.equal(receipt?.state, 'rolled-back');
  assert.deepEqual(programs, [...back, runAgain]);
  // The link has not moved here, as where a switch could not do it.
  assert.match(receipt?.notices?.join() ?? '', /still runs the system that was rolled back/);
});

test('without a system before there is nothing to go back to, and that is told', async (t) => {
  const { receipt } = await resumed(t, {
    state: 'switched',
    previousToplevel: undefined,
    previousCurrent: undefined,
    previousGeneration: undefined,
  });
  assert.deepEqual([receipt?.state, receipt?.code], ['failed', 'no-way-back']);
  assert.match(
    receipt?.detail ?? '',
    /^it stopped in state switched; no system was installed before; \S+-nixos-system-web-new is installed now, although it failed$/,
  );
});

test('where a system ran and none was installed, it runs again; what is installed is told', async (t) => {
  const nothing = { previousToplevel: undefined, previousGeneration: undefined };
  const { receipt, programs } = await resumed(t, { state: 'switched', ...nothing });
  assert.deepEqual([receipt?.state, receipt?.code], ['failed', 'no-way-back']);
  assert.deepEqual(programs, [`${oldSystem}/bin/switch-to-configuration test`]);
  const tried = await resumed(t, { state: 'switched', operation: 'test', ...nothing });
  assert.deepEqual([tried.receipt?.state, tried.receipt?.code], ['rolled-back', 'interrupted']);
});
