/** When root restarts the machine, and what keeps it from doing so. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { raiseFloor } from '../../../src/state/floor.ts';
import { reasonToRestart, requestReboot, restartMachine } from '../../../src/target/root/reboot.ts';
import { type Making, newSystem, oldSystem, rootInMemory, thisBoot } from '../../support/root-machine.ts';

const always = { policy: { reboot: { when: 'always' as const, delay: 60 } } };
const installed = { booted: oldSystem, running: oldSystem, generations: [oldSystem, newSystem] };
const never = new AbortController().signal;

/** A system is installed and waits for a restart; no more is known than each test says. */
async function waiting(t: TestContext, making: Making = {}) {
  const scene = await rootInMemory(t, { ...always, ...installed, ...making });
  await scene.write({ state: 'pending', bootId: thisBoot });
  const programs = () => scene.started.map(({ argv }) => argv.slice(0, 2).join(' '));
  return { ...scene, programs };
}

test('a pending system is restarted into after the delay, as a person at a terminal would do it', async (t) => {
  const slept: number[] = [];
  const { machine, started, events } = await waiting(t, { onSleep: (ms) => void slept.push(ms) });
  await restartMachine(machine, never);
  assert.deepEqual(
    started.map((s) => s.argv),
    [['systemctl', 'reboot', '--check-inhibitors=yes']],
  );
  assert.deepEqual(
    slept,
    [60_000, 15 * 60_000],
    'the delay, then the locks are held until the machine goes down',
  );
  assert.deepEqual(
    events.map((e) => e.event),
    ['reboot-soon', 'rebooting'],
  );
});

test('a run that has ended asks for the restart, and leaves it to the unit', async (t) => {
  const { machine, started } = await waiting(t);
  await requestReboot(machine);
  assert.deepEqual(started[0]?.argv, ['systemctl', 'start', '--no-block', 'nixmaker-reboot.service']);
});

test('whoever is not root alone asks for no restart', async (t) => {
  const { machine, started } = await waiting(t, { role: 'direct' });
  await requestReboot(machine);
  assert.deepEqual(started, []);
});

test('where there is no reason nothing is restarted, asked for or waited for', async (t) => {
  const slept: number[] = [];
  const { machine, started, events } = await rootInMemory(t, {
    ...always,
    ...installed,
    onSleep: (ms) => void slept.push(ms),
  });
  await requestReboot(machine);
  await restartMachine(machine, never);
  assert.deepEqual([started, events, slept], [[], [], []]);
});

test('a system installed in an earlier boot, and one of another toplevel, are no reason', async (t) => {
  const { machine, write } = await rootInMemory(t, { ...always, ...installed });
  await write({ state: 'pending', bootId: 'another', transaction: '1'.repeat(12) });
  assert.equal(await reasonToRestart(machine), undefined);
  await write({ state: 'committed', bootId: thisBoot, toplevel: oldSystem, transaction: '2'.repeat(12) });
  assert.equal(await reasonToRestart(machine), undefined, 'committed, but no longer installed');
  const { generation: _, ...already } = { generation: 0, state: 'committed', bootId: thisBoot } as const;
  await write({ ...already, generation: undefined, transaction: '3'.repeat(12) });
  assert.equal(await reasonToRestart(machine), undefined, 'it was there already');
  await write({ state: 'committed', bootId: thisBoot, transaction: '4'.repeat(12) });
  assert.equal(await reasonToRestart(machine), 'a new system was activated');
});

test('what was asked for and undone while we waited is not done', async (t) => {
  const scene = await waiting(t, {
    onSleep: async () => scene.write({ state: 'superseded', bootId: thisBoot }),
  });
  await restartMachine(scene.machine, never);
  assert.deepEqual(scene.programs(), []);
});

test('outside of its window the unit is started again when that opens', async (t) => {
  const window = { from: '02:00', to: '04:00' };
  const { machine, started, events } = await waiting(t, {
    policy: { reboot: { when: 'always', delay: 0, window } },
  });
  await restartMachine(machine, never);
  const [first] = started;
  assert.equal(first?.argv[0], 'systemd-run');
  const seconds = Number(first?.argv.find((a) => a.startsWith('--on-active='))?.slice('--on-active='.length));
  assert.ok(seconds > 0 && seconds <= 24 * 3600, String(seconds));
  assert.equal(first?.argv.at(-1), 'nixmaker-reboot.service');
  assert.equal(events.at(-1)?.event, 'reboot-waits');
});

test('a clock that stands before the newest signed time opens no window', async (t) => {
  const window = { from: '00:00', to: '23:59' };
  const { machine, programs, events } = await waiting(t, {
    policy: { reboot: { when: 'always', delay: 0, window } },
  });
  const floor = { schema: 1, sequence: 5, manifestDigest: 'd'.repeat(64) } as const;
  await raiseFloor(machine.floorDirectory, { ...floor, createdAt: '2027-01-01T00:00:00Z' });
  await restartMachine(machine, never);
  assert.deepEqual(programs(), ['systemd-run --collect']);
  assert.match(String(events.at(-1)?.because), /clock/);
});

for (const busy of ['state', 'agent'] as const)
  test(`while a nixmaker holds the lock in the folder “${busy}” nothing is restarted`, async (t) => {
    const scene = await waiting(t, { isLocked: (file) => file.includes(`/${busy}/`) });
    await writeFile(join(scene.machine.agentDirectory, 'lock'), '');
    await restartMachine(scene.machine, never);
    assert.deepEqual(scene.programs(), ['systemd-run --collect']);
    assert.equal(scene.events.at(-1)?.because, 'a bundle is being taken');
    assert.equal(scene.events.at(-1)?.seconds, 30);
  });

test('where somebody’s work forbids a restart it is tried again', async (t) => {
  const answer = ([, verb]: readonly string[]) =>
    verb === 'reboot' ? { exitCode: 1, stderrTail: ['Operation inhibited by "anna"'] } : undefined;
  const { machine, programs, events } = await waiting(t, { answer });
  await restartMachine(machine, never);
  assert.deepEqual(programs(), ['systemctl reboot', 'systemd-run --collect']);
  assert.match(String(events.at(-1)?.because), /inhibited/);
});
