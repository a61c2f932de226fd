/** Looking for valid paths after a start: once when it went well, and again until it has; nobody waits for it. */
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { storeDir } from '../../../src/core/store-path.ts';
import { roomRequests } from '../../../src/state/requests.ts';
import { dropLost } from '../../../src/target/root/drop-lost.ts';
import { serveAgent } from '../../../src/target/root/serve.ts';
import { storePathOf } from '../../support/releases.ts';
import { rootInMemory } from '../../support/root-machine.ts';

const lost = storePathOf(3);
const none = async () => false;

/** What Nix says of its database; none of it is on the disk. */
interface Database {
  /** Every path. */
  all: readonly string[] | undefined;
  /** The lost one is still in it by the time it is asked for. */
  isValid: boolean;
  isNeeded?: boolean;
  onList?: () => void;
}

async function scene(t: TestContext, database: Database) {
  const { machine, events, started } = await rootInMemory(t, {
    answer: ([program, ...args]) => {
      if (args.includes('--all')) {
        database.onList?.();
        const { all } = database;
        return all === undefined ? { exitCode: 1, stderrTail: ['no'] } : { stdout: all.join('\n') };
      }
      if (args.includes('--check-validity')) {
        const invalid = args.filter((arg) => arg.startsWith(storeDir) && !(arg === lost && database.isValid));
        return { stdout: invalid.join('\n') };
      }
      if (args.includes('--referrers-closure')) return { stdout: `${lost}\n` };
      if (program !== 'nix' || !args.includes('delete')) return undefined;
      if (database.isNeeded === true) return { exitCode: 1, stderrTail: ['it is still alive'] };
      database.isValid = false;
      return {};
    },
  });
  const store = join(machine.floorDirectory, 'store');
  await mkdir(`${store}${storeDir}`, { recursive: true });
  const here = { ...machine, nix: { ...machine.nix, store } };
  const lists = () => started.filter(({ argv }) => argv.includes('--all')).length;
  return { here, events, started, lists };
}

const many = Array.from({ length: 300 }, (_, n) => storePathOf(n));

test('until it went well it is tried at each start of the service, then not before the machine’s next start', async (t) => {
  const database: Database = { all: undefined, isValid: false };
  const { here, events, started } = await scene(t, database);
  await dropLost(here, none);
  assert.deepEqual(
    events.map(({ event, level }) => [event, level]),
    [['store-not-looked-through', 'warn']],
  );
  Object.assign(database, { all: [lost], isValid: true });
  await dropLost(here, none);
  assert.deepEqual(events.at(-1), {
    ...{ event: 'lost-paths-dropped', level: 'warn' },
    ...{ count: 1, paths: [lost], kept: [] },
  });
  const before = started.length;
  await dropLost(here, none);
  assert.equal(started.length, before);
  await dropLost({ ...here, bootId: 'boot-3' }, none);
  assert.ok(started.length > before);
});

test('what a collection takes while it is looked for is no loss', async (t) => {
  const { here, events } = await scene(t, { all: [lost], isValid: false });
  await dropLost(here, none);
  assert.deepEqual(events, []);
});

test('what no system needs and Nix does not delete is told once, and looked at again by itself', async (t) => {
  const database: Database = { all: [lost, storePathOf(4)], isValid: true, isNeeded: true };
  const { here, events, started, lists } = await scene(t, database);
  await dropLost(here, none);
  await dropLost(here, none);
  assert.deepEqual(
    events.map(({ event, count, kept }) => [event, count, kept]),
    [['lost-paths-dropped', 0, [lost]]],
  );
  database.isNeeded = false;
  await dropLost(here, none);
  assert.deepEqual([events.length, events.at(-1)?.count, lists()], [2, 1, 1]);
  const before = started.length;
  await dropLost(here, none);
  assert.equal(started.length, before);
});

test('it gives way to a request, and begins anew the next time', async (t) => {
  const { here, events, lists } = await scene(t, { all: many, isValid: true });
  assert.equal(await dropLost(here, async () => true), true);
  assert.deepEqual(events, []);
  await dropLost(here, none);
  assert.deepEqual([events.map(({ count }) => count), lists()], [[1], 2]);
});

test('what takes longer than it may is told, and not tried again before the next start', async (t) => {
  const { here, events, lists } = await scene(t, { all: many, isValid: true });
  let now = 0;
  const late = { ...here, clock: { ...here.clock, monotonic: () => (now += 1_000_000) } };
  await dropLost(late, none);
  await dropLost(late, none);
  assert.deepEqual(
    [events.map(({ event, detail }) => [event, detail]), lists()],
    [[['store-not-looked-through', 'nix-failed: collectDeadline is over']], 1],
  );
  await dropLost({ ...late, bootId: 'boot-3' }, none);
  assert.equal(lists(), 2);
});

test('while it is looked for, the lock is free, and a request that comes is served', async (t) => {
  let isHeld = false;
  const held: boolean[] = [];
  const database: Database = { all: many, isValid: true };
  const { here, events } = await scene(t, database);
  const folder = join(here.requestsDirectory, roomRequests.folder);
  await mkdir(folder);
  database.onList = () => {
    held.push(isHeld);
    writeFileSync(join(folder, '0123456789ab.json'), 'not a request');
  };
  const hold: typeof here.hold = async () => {
    isHeld = true;
    return {
      release: async () => {
        isHeld = false;
      },
    };
  };
  await serveAgent({ ...here, hold });
  assert.deepEqual(held, [false]);
  assert.deepEqual(
    events.map(({ event }) => event),
    ['request-rejected'],
  );
});
