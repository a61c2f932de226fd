/** After a start: whether the system that was installed for it stays. And what root’s confirmation says around that. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { readFloor } from '../../../src/state/floor.ts';
import type { JournalRecord } from '../../../src/state/journal.ts';
import { judgePending } from '../../../src/target/activate/judge-pending.ts';
import { confirmAtStart, confirmByHand } from '../../../src/target/root/confirm.ts';
import {
  lastBoot,
  type Making,
  newSystem,
  oldSystem,
  rootInMemory,
  thisBoot,
} from '../../support/root-machine.ts';

const started = { booted: newSystem, running: newSystem, generations: [oldSystem, newSystem] };

async function scene(t: TestContext, making: Making, changes: Partial<JournalRecord> = {}) {
  const made = await rootInMemory(t, { ...started, ...making });
  await made.write(changes);
  const programs = () => made.started.map(({ argv }) => argv.join(' '));
  return { ...made, programs };
}

test('a system that the machine came up in, and that is well, is kept; the floor rises', async (t) => {
  const { machine } = await scene(t, {});
  const receipt = await judgePending(machine, 'start');
  assert.deepEqual([receipt?.state, receipt?.code], ['committed', undefined]);
  assert.equal((await readFloor(machine.floorDirectory)).floor?.sequence, 5);
});

for (const [what, changes] of [
  ['nothing is pending', { state: 'committed' }],
  ['the record names no system', { toplevel: undefined }],
  ['the machine has not been restarted', { bootId: thisBoot }],
] as const)
  test(`where ${what} there is nothing to judge`, async (t) => {
    const { machine, programs } = await scene(t, {}, changes);
    assert.equal(await judgePending(machine, 'start'), undefined);
    assert.equal(await judgePending(machine, 'operator'), undefined);
    assert.deepEqual(programs(), []);
  });

test('at the end of the time that a person has, what no person was asked about is left alone', async (t) => {
  const { machine, programs, runs } = await scene(t, {});
  assert.equal(await judgePending(machine, 'deadline'), undefined);
  assert.deepEqual(programs(), []);
  assert.equal((await runs())[0]?.state, 'pending');
});

test('a release that there is no way back from stays once the machine was started into it', async (t) => {
  const noWayBack = 'the database is migrated';
  const { machine, programs } = await scene(t, {}, { noWayBack, askedIn: thisBoot, confirmBy: 50 });
  const receipt = await judgePending(machine, 'start');
  assert.deepEqual([receipt?.state, receipt?.code], ['failed', 'left-unwell']);
  assert.match(receipt?.detail ?? '', /time to confirm.*; the release is one-way: the database is migrated$/);
  assert.deepEqual(programs(), [], 'nothing is put back');
  assert.equal((await readFloor(machine.floorDirectory)).floor?.sequence, 5, 'what is older is not taken');
  const other = await scene(t, { booted: oldSystem, running: oldSystem }, { noWayBack });
  assert.equal((await judgePending(other.machine, 'start'))?.code, 'boot-failed', 'it never ran');
});

test('another system that was installed over it ends the run, and nothing is put back', async (t) => {
  const { machine, programs } = await scene(t, { generations: [oldSystem] });
  assert.equal((await judgePending(machine, 'start'))?.state, 'superseded');
  assert.deepEqual(programs(), []);
  assert.equal((await readFloor(machine.floorDirectory)).floor, undefined);
});

for (const [what, making, changes, code, detail] of [
  [
    'came up in another system',
    { booted: oldSystem, running: oldSystem },
    {},
    'boot-failed',
    /another system/,
  ],
  [
    'was restarted instead of confirmed',
    {},
    { askedIn: lastBoot, confirmBy: 1e9 },
    'not-confirmed',
    /restarted instead/,
  ],
  ['was not confirmed in time', {}, { askedIn: thisBoot, confirmBy: 50 }, 'not-confirmed', /time to confirm/],
] as const)
  test(`a machine that ${what} goes back: generation, and boot entry`, async (t) => {
    const { machine, programs } = await scene(t, making, changes as Partial<JournalRecord>);
    const receipt = await judgePending(machine, 'start');
    assert.deepEqual([receipt?.state, receipt?.code], ['rolled-back', code]);
    assert.match(receipt?.detail ?? '', detail);
    const { profile } = machine.settings;
    assert.deepEqual(programs(), [
      `nix-env --store daemon --profile ${profile} --switch-generation 1`,
      `nix-env --store daemon --profile ${profile} --delete-generations 2`,
      `${oldSystem}/bin/switch-to-configuration boot`,
    ]);
    assert.equal((await readFloor(machine.floorDirectory)).floor, undefined);
  });

const unwell = {
  policy: { health: { commands: [['/bin/well']], settle: 0, retries: 0 } },
  answer: ([program]: readonly string[]) => (program === '/bin/well' ? { exitCode: 1 } : undefined),
} as unknown as Making;

test('a system that is not well goes', async (t) => {
  const { machine } = await scene(t, unwell);
  const receipt = await judgePending(machine, 'operator');
  assert.deepEqual([receipt?.state, receipt?.code], ['rolled-back', 'health-failed']);
  assert.match(receipt?.detail ?? '', /^failed: \/bin\/well/);
});

test('while the machine starts the way back is left to the helper', async (t) => {
  const { machine, runs, programs } = await scene(t, {
    booted: oldSystem,
    settings: { activation: 'systemd' },
  });
  await judgePending(machine, 'start');
  assert.deepEqual(programs(), ['systemctl start --no-block nixmaker-activate.service']);
  assert.equal((await runs())[0]?.state, 'rolling-back');
});

test('a person at the machine does not leave the way back to the helper: it is gone at once', async (t) => {
  const making = { booted: oldSystem, settings: { activation: 'systemd' } };
  const { machine, runs } = await scene(t, making);
  assert.equal((await judgePending(machine, 'operator'))?.state, 'rolled-back');
  assert.equal((await runs())[0]?.state, 'rolled-back');
});

const manual = { policy: { boot: { confirm: 'manual', within: 300 } } } as unknown as Making;

test('where a person has to confirm, the start only asks; by hand it is kept', async (t) => {
  const { machine, runs } = await scene(t, manual);
  const asked = await judgePending(machine, 'start');
  assert.equal(asked?.state, 'pending');
  assert.match(asked?.detail ?? '', /within 300 seconds/);
  const [record] = await runs();
  assert.deepEqual([record?.askedIn, record?.confirmBy], [thisBoot, 400]);
  assert.equal((await readFloor(machine.floorDirectory)).floor, undefined, 'not before somebody has said so');
  assert.equal(await judgePending(machine, 'start'), undefined, 'a person still has time');
  assert.equal((await judgePending(machine, 'operator'))?.state, 'committed');
});

test('the start of the machine says what it kept', async (t) => {
  const { machine } = await scene(t, {});
  assert.equal((await confirmAtStart(machine))?.state, 'committed');
});

test('a start that finds a run cut off waits for it, and no longer than it may', async (t) => {
  let slept = 0;
  const { machine } = await scene(
    t,
    {
      onSleep: (ms) => {
        slept += ms;
      },
    },
    { state: 'switched' },
  );
  await assert.rejects(confirmAtStart(machine), { code: 'busy' });
  assert.ok(slept >= 5 * 60_000 && slept < 6 * 60_000, String(slept));
});

test('a start that finds a run being rolled back does not wait for it', async (t) => {
  const { machine } = await scene(
    t,
    { onSleep: () => assert.fail('nothing is to be waited for') },
    { state: 'rolling-back' },
  );
  await assert.rejects(confirmAtStart(machine), { code: 'interrupted' });
});

test('a machine that still runs what was rolled back says so at every start', async (t) => {
  const { machine } = await scene(t, { generations: [oldSystem] }, { state: 'rolled-back' });
  await assert.rejects(confirmAtStart(machine), { code: 'activation-failed' });
  const other = await scene(t, { generations: [oldSystem], running: oldSystem }, { state: 'rolled-back' });
  assert.equal(await confirmAtStart(other.machine), undefined);
});

test('by hand: what waits for a restart is told of, and nothing is nothing', async (t) => {
  const { machine } = await scene(t, {}, { bootId: thisBoot });
  await assert.rejects(confirmByHand(machine), {
    code: 'not-restarted',
    detail: 'sequence 5 is waiting for a restart',
  });
  const nothing = await scene(t, {}, { state: 'committed' });
  assert.equal(await confirmByHand(nothing.machine), undefined);
  const kept = await scene(t, {});
  assert.equal((await confirmByHand(kept.machine))?.state, 'committed');
});
