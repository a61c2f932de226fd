/** Media that do not keep what is written to them, and say nothing: `put` tells by reading back. */
import assert from 'node:assert/strict';
import { readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cacheOf, hostsOf } from '../../src/bundle/pool.ts';
import type { ProcessRunner } from '../../src/core/ports.ts';
import { runProgram } from '../../src/process/run.ts';
import { entries, indexes, nars, stickDesk } from '../support/stick.ts';

/** The medium changes what it holds when it is flushed for the nth time: that is when a bad stick shows. */
const spoilingAt =
  (flush: number, spoil: () => Promise<void>): ProcessRunner =>
  async (program, args, options) => {
    if (program === 'sync' && --flush === 0) await spoil();
    return runProgram(program, args, options);
  };

for (const [what, flush, spoiled, left] of [
  ['a large piece', 1, (m: string) => largest(cacheOf(m)), []],
  ['a small piece', 1, async (m: string) => join(cacheOf(m), 'nar', (await nars(m)).at(-1) ?? ''), []],
  ['an index', 1, async (m: string) => join(cacheOf(m), 'index', (await indexes(m))[0] ?? ''), []],
  // The third flush is the one after the entry has its name.
  ['a manifest', 3, async (m: string) => join(hostsOf(m), 'web/2/manifest.json'), ['web/2']],
  ['what goes with it', 3, async (m: string) => join(hostsOf(m), 'web/2/contents'), ['web/2']],
] as const)
  test(`a medium that does not keep ${what} is named, and nothing is said to be on it`, async (t) => {
    const { medium, bundle, put } = await stickDesk(t);
    const web = await bundle('web', 2, { fileSizes: [100_000, 700] });
    const run = spoilingAt(flush, async () => {
      const path = await spoiled(medium);
      await writeFile(path, Buffer.alloc((await stat(path)).size));
    });
    await assert.rejects(put([web], { run }), {
      code: 'medium-failing',
      detail: /did not read back as written$/,
    });
    assert.deepEqual(await entries(medium), left);
  });

async function largest(folder: string): Promise<string> {
  const files = (await readdir(folder, { recursive: true })).map((name) => join(folder, name));
  const sizes = new Map<string, number>();
  for (const path of files) sizes.set(path, (await stat(path)).isFile() ? (await stat(path)).size : 0);
  return files.toSorted((a, b) => (sizes.get(b) ?? 0) - (sizes.get(a) ?? 0))[0] ?? '';
}

test('a medium on which the next host is written over the one before is named', async (t) => {
  const { medium, bundle, put } = await stickDesk(t);
  const bundles = [await bundle('a', 1), await bundle('b', 1)];
  // Three flushes each.
  const run = spoilingAt(6, () => writeFile(join(hostsOf(medium), 'a/1/manifest.sig'), 'of b'));
  await assert.rejects(put(bundles, { run }), {
    code: 'medium-failing',
    detail: /hosts\/a\/1\/manifest\.sig read back as written and has changed since/,
  });
});
