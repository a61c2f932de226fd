/** How far root goes to make room in the store, and where it stops. (With a real Nix: test/target/makes-room.test.ts.) */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { NixmakerError } from '../../../src/core/errors.ts';
import type { StorePath } from '../../../src/core/store-path.ts';
import { type Asked, freeStore, type RoomMaker } from '../../../src/target/activate/store-room.ts';
import { smallDisk, wantMounted } from '../../support/own-mounts.ts';
import { inOwnStore } from '../../support/own-store.ts';
import { storePathOf } from '../../support/releases.ts';
import { deletingGenerations, rootInMemory } from '../../support/root-machine.ts';

const by = { id: 'a'.repeat(12), emit: () => undefined };
const systems = [1, 2, 3].map((n) => storePathOf(n, `nixos-system-${n}`));
const more = { bytes: 2 ** 50, files: 0 };

/** Three generations, of which the first two may go; a collection finds nothing. `valid`: the systems that Nix knows. */
async function scene(t: TestContext, { valid = systems, generations = systems } = {}) {
  const info = { narHash: `sha256-${Buffer.alloc(32).toString('base64')}`, narSize: 1000, references: [] };
  const made = await rootInMemory(t, {
    generations,
    answer: (argv) => {
      if (argv.includes('--gc')) return { stdout: '0 store paths deleted, 0.00 MiB freed\n' };
      if (!argv.includes('path-info')) return deletingGenerations(argv);
      const asked = argv.filter((a) => a.startsWith('/nix/store/'));
      const known = asked.map((path) => [path, valid.includes(path as StorePath) ? info : null]);
      return { stdout: JSON.stringify(Object.fromEntries(known)) };
    },
  });
  return {
    ...made,
    free: (goal: Asked['goal'], changes: Partial<RoomMaker> = {}) =>
      freeStore({ ...made.machine, ...changes }, by, { goal, isOneComing: true }),
    ran: (part: string) => made.started.filter(({ argv }) => argv.includes(part)).map(({ argv }) => argv),
  };
}

inOwnStore(import.meta.url, () => {
  test('where all that may go is not enough it goes all the same, also what Nix no longer knows', async (t) => {
    const { free } = await scene(t, { valid: systems.slice(1) });
    const { generations, unfinished } = await free(more);
    assert.deepEqual([generations, unfinished], [[1, 2], undefined]);
  });

  test('where only inodes are lacking, they go one at a time', async (t) => {
    const { free, machine, ran } = await scene(t);
    const store = await smallDisk(t, 1024 ** 2);
    await mkdir(join(store, 'nix/store'), { recursive: true });
    await free({ bytes: 0, files: 2 ** 40 }, { nix: { ...machine.nix, store } });
    assert.deepEqual(
      ran('--delete-generations').map((argv) => argv.at(-1)),
      ['1', '2'],
    );
    assert.equal(ran('--gc').length, 3);
  });

  test('once the time for it is over no generation goes', async (t) => {
    const { free, machine, ran } = await scene(t);
    let passed = 0;
    const monotonic = () => {
      passed += 1_000_000;
      assert.ok(passed < 1e9, 'it goes on and on');
      return passed;
    };
    const { unfinished } = await free(more, { clock: { ...machine.clock, monotonic } });
    assert.equal(unfinished, 'collectDeadline is over (600 seconds)');
    assert.deepEqual([ran('--delete-generations'), ran('--gc')], [[], []]);
  });

  test('where no generation may go, the boot menu is left alone', async (t) => {
    const { free, ran } = await scene(t, { generations: systems.slice(2) });
    assert.equal((await free('everything')).unfinished, undefined);
    assert.equal(ran('--gc').length, 1);
    assert.deepEqual(ran('boot'), []);
  });

  test('while the boot partition is not mounted nothing goes', async (t) => {
    const { free, machine, started } = await scene(t);
    await wantMounted(t, '/not/mounted');
    const settings = { ...machine.settings, activation: 'systemd', bootDirectory: '/not/mounted' } as const;
    const { unfinished } = await free('everything', { settings });
    assert.match(unfinished ?? '', /^boot-not-mounted: /);
    assert.deepEqual(started, []);
  });

  test('when we are told to stop, that is what ends it', async (t) => {
    const { free } = await scene(t);
    const fault = new NixmakerError('stopped', 'SIGTERM');
    const interruption = { signal: AbortSignal.abort(), fault } as unknown as NonNullable<
      RoomMaker['interruption']
    >;
    await assert.rejects(free('everything', { interruption }), fault);
  });

  test('a fault of our own is thrown, not reported as an early end', async (t) => {
    const { free, machine } = await scene(t);
    const now = () => {
      throw new RangeError('no time');
    };
    await assert.rejects(free('everything', { clock: { ...machine.clock, now } }), /no time/);
  });
});
