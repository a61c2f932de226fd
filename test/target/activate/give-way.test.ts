/** Who judges a started system comes before whoever makes room under the same lock. The lock is flock(1)’s own. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type TestContext, test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import type { ProcessRunner } from '../../../src/core/ports.ts';
import { systemClock } from '../../../src/process/clock.ts';
import { holdProgram } from '../../../src/process/run.ts';
import { isLockWanted } from '../../../src/state/lock.ts';
import { givingWay } from '../../../src/target/activate/give-way.ts';
import { freeStore } from '../../../src/target/activate/store-room.ts';
import { withLock } from '../../../src/target/machine/with-lock.ts';
import { confirmByHand } from '../../../src/target/root/confirm.ts';
import { type Making, newSystem, oldSystem, rootInMemory, thisBoot } from '../../support/root-machine.ts';

const by = { id: 'a'.repeat(12), emit: () => undefined };
const lacking = { goal: { bytes: 2 ** 50, files: 0 }, isOneComing: true } as const;
const came = { booted: newSystem, running: newSystem, generations: [oldSystem, newSystem] };

/** A machine on which a collection takes until somebody ends it. */
async function scene(t: TestContext, making: Making = {}) {
  const made = await rootInMemory(t, { ...came, ...making });
  const [begun, over] = [Promise.withResolvers<void>(), new AbortController()];
  t.after(() => over.abort());
  const run: ProcessRunner = async (program, args, options) => {
    if (!args.includes('--gc')) return made.machine.run(program, args, options);
    begun.resolve();
    const ended = AbortSignal.any([over.signal, ...(options?.signal === undefined ? [] : [options.signal])]);
    await once(ended, 'abort');
    return { exitCode: undefined, stdout: '', stderrTail: [], timedOut: false, startError: undefined };
  };
  const machine = {
    ...made.machine,
    ...{ hold: holdProgram, nix: { ...made.machine.nix, run } },
    clock: { ...made.machine.clock, sleep: systemClock.sleep },
  };
  const makeRoom = () => withLock(machine, () => freeStore(machine, by, lacking));
  return { ...made, machine, makeRoom, begun: begun.promise };
}

test('a person who confirms while room is made for the next release is not made to wait for it', async (t) => {
  const { machine, makeRoom, begun, write } = await scene(t);
  await write({ askedIn: thisBoot, confirmBy: 1000 });
  const making = makeRoom();
  await begun;
  assert.equal((await confirmByHand(machine))?.state, 'committed');
  assert.equal((await making).unfinished, 'it gave way to the judgement of the system that was started');
});

test('whoever is waiting already comes before the collection begins', async (t) => {
  const { machine, write } = await scene(t);
  await write({ askedIn: thisBoot, confirmBy: 1000 });
  let confirming: Promise<unknown> | undefined;
  await withLock(machine, async () => {
    confirming = confirmByHand(machine);
    while (!(await isLockWanted(machine.settings.stateDirectory))) await setImmediate();
    const { result, gaveWay } = await givingWay(machine, undefined, async () => 'collected');
    assert.deepEqual([result, gaveWay], [undefined, true]);
  });
  assert.equal(((await confirming) as { state: string }).state, 'committed');
});

test('where nothing waits to be judged nobody ends it', async (t) => {
  const { machine } = await scene(t);
  await withLock(machine, async () => {
    const other = withLock(machine, async () => undefined, ['--timeout', '60']);
    t.after(() => other);
    while (!(await isLockWanted(machine.settings.stateDirectory))) await setImmediate();
    const { result, gaveWay } = await givingWay(machine, undefined, async (signal) => signal ?? 'none');
    assert.deepEqual([result, gaveWay], ['none', false]);
  });
});
