/** Looking for valid paths after a start: once when it went well, and again until it has. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { storeDir } from '../../../src/core/store-path.ts';
import { dropLost } from '../../../src/target/root/drop-lost.ts';
import { storePathOf } from '../../support/releases.ts';
import { rootInMemory } from '../../support/root-machine.ts';

const lost = storePathOf(3);

test('until it went well it is tried at each start of the service, then not before the machine’s next start', async (t) => {
  let isThere = false;
  const { machine, events, started } = await rootInMemory(t, {
    answer: ([program, ...args]) => {
      if (args.includes('--all'))
        return isThere ? { stdout: `${lost}\n` } : { exitCode: 1, stderrTail: ['no'] };
      if (args.includes('--check-validity')) return isThere ? {} : { stdout: `${lost}\n` };
      if (args.includes('--referrers-closure')) return { stdout: `${lost}\n` };
      if (program === 'nix-store' && args.includes('--delete')) isThere = false;
      return undefined;
    },
  });
  const store = join(machine.floorDirectory, 'store');
  await mkdir(`${store}${storeDir}`, { recursive: true });
  const here = { ...machine, nix: { ...machine.nix, store } };
  await dropLost(here);
  assert.deepEqual(
    events.map(({ event, level }) => [event, level]),
    [['store-not-looked-through', 'warn']],
  );
  isThere = true;
  await dropLost(here);
  assert.deepEqual(events.at(-1), {
    ...{ event: 'lost-paths-dropped', level: 'warn' },
    ...{ count: 1, paths: [lost], kept: [] },
  });
  const before = started.length;
  await dropLost(here);
  assert.equal(started.length, before);
  await dropLost({ ...here, bootId: 'boot-3' });
  assert.ok(started.length > before);
});
