/** How many generations are looked into for room in the store. (What is freed, with a real Nix: test/target/makes-room.test.ts.) */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { freeStore } from '../../../src/target/activate/store-room.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import { storePathOf } from '../../support/releases.ts';
import { rootInMemory } from '../../support/root-machine.ts';

test('on a machine with very many generations so many are looked into at a time as there is memory for', async (t) => {
  const { machine, started } = await rootInMemory(t, {
    generations: Array.from({ length: 300 }, (_, n) => storePathOf(n + 1, `nixos-system-${n + 1}`)),
    settings: { bootDirectory: await temporaryFolder(t) },
    answer: (argv) => (argv.includes('path-info') ? { stdout: '{}' } : undefined),
  });
  const store = await temporaryFolder(t);
  await mkdir(join(store, 'nix/store'), { recursive: true });
  const by = { id: 'a'.repeat(12), emit: () => undefined };
  await freeStore({ ...machine, nix: { ...machine.nix, store } }, by, {
    goal: { bytes: 1e15, files: 0 },
    isOneComing: true,
  });
  const deleted = started.find(({ argv }) => argv.includes('--delete-generations'));
  assert.deepEqual(
    deleted?.argv.slice(deleted.argv.indexOf('--delete-generations') + 1),
    Array.from({ length: 50 }, (_, n) => String(n + 1)),
  );
});
