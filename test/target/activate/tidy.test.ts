/** What is remembered of tidying up: once for each commit, whatever a builder said or the disk has made of it. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { StorePath } from '../../../src/core/store-path.ts';
import { readTidied } from '../../../src/state/freed.ts';
import { tidyUp } from '../../../src/target/activate/tidy.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import { storePathOf } from '../../support/releases.ts';
import { type Making, rootInMemory } from '../../support/root-machine.ts';

const systems = [1, 2, 3, 4].map((n) => storePathOf(n, `nixos-system-${n}`)) as StorePath[];

async function scene(t: TestContext, making: Making = {}) {
  const made = await rootInMemory(t, {
    generations: systems,
    policy: { collect: 'after-commit' },
    settings: { bootDirectory: await temporaryFolder(t) },
    ...making,
  });
  await made.write({
    state: 'committed',
    toplevel: systems[3] as string,
    generation: 4,
    previousGeneration: 3,
    previousToplevel: systems[2] as string,
  });
  return made;
}

test('after a commit once; where the record of that is damaged, once more', async (t) => {
  const { machine } = await scene(t);
  const first = await tidyUp(machine);
  assert.deepEqual(first?.freed.generations, []);
  assert.equal(await tidyUp(machine), undefined);
  await writeFile(join(machine.floorDirectory, 'tidied.json'), 'damaged');
  assert.equal((await tidyUp(machine))?.transaction, first?.transaction);
  assert.equal(await tidyUp(machine), undefined);
});

test('whatever a boot builder says at length, what is recorded can be read again', async (t) => {
  const { machine } = await scene(t, {
    answer: (argv) =>
      argv.includes('boot') ? { exitCode: 1, stderrTail: [`error: ${'x'.repeat(9000)}`] } : undefined,
  });
  const { freed } = (await tidyUp(machine)) ?? {};
  assert.match(freed?.unfinished ?? '', /^activation-failed: .*x…$/);
  assert.deepEqual((await readTidied(machine.floorDirectory))?.freed, freed);
});
