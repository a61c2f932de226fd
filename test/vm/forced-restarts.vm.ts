/**
 * Releases in a row, and in the midst of each, at a moment that chance has chosen, the agent’s or root’s service is killed, the machine
 * is restarted without a word to its file systems, or its power is cut; as OSTree tests its updates. At the end the newest release is
 * committed, the store is whole and nothing is lost. NIXMAKER_CASES=all has thirty on each file system, otherwise there are three.
 */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makeDisk } from '../machines/vm-target.ts';
import { allCases } from '../support/cases.ts';
import { keepTable } from '../support/out.ts';
import { cutAfterDeletion } from './forced/deletion.ts';
import { type Forced, ForcedMachine } from './forced/machine.ts';
import { moveStore } from './power-cut/other-store.ts';
import { bundles, shop } from './power-cut/scene.ts';

const count = allCases ? 30 : 3;
/** The same events again: NIXMAKER_SEED. */
const seed = Number(process.env.NIXMAKER_SEED ?? 20_261_129);
const fileSystems = allCases ? (['ext4', 'btrfs', 'xfs'] as const) : (['ext4'] as const);

const policy = { collect: 'after-commit', health: { settle: 0 } };
const golden = await makeDisk(shop, 'golden-forced', { kind: 'media', bundle: bundles.old, policy });
const rows: Forced[] = [];
const ends: { readonly fileSystem: string; readonly damaged: readonly string[] }[] = [];

describe(`${count} releases, with /nix on`, { concurrency: fileSystems.length }, () => {
  for (const [i, fileSystem] of fileSystems.entries())
    test(`${fileSystem}: each is committed, whatever happens in its midst (seed ${seed + i})`, async () => {
      const disk = fileSystem === 'ext4' ? golden : await moveStore(golden, fileSystem, 'forced');
      const machine = await ForcedMachine.boot(disk, { fileSystem, seed: seed + i });
      try {
        for (let n = 1; n <= count; n++) {
          rows.push(await machine.take(n));
          // Also of a row that did not come to its end.
          await keepTable('forced-restarts', { seed, cases: rows, ends });
        }
        // First of all, for it names what is wrong.
        const damaged = await machine.damage();
        ends.push({ fileSystem, damaged });
        await keepTable('forced-restarts', { seed, cases: rows, ends });
        assert.deepEqual(damaged, []);
        assert.ok(rows.some((row) => row.fileSystem === fileSystem && row.found !== 'committed'));
        await machine.requireSound(count);
      } finally {
        await machine.end();
      }
    });
});

test('what a cut has taken back of a deletion, in the database and not on disk, the next start takes out', async () => {
  await cutAfterDeletion(golden);
});
