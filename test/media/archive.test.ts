/** What somebody sees who waits for a report. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, watch } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { archive } from '../../src/media/archive.ts';
import { temporaryFolder } from '../support/bundles.ts';

test('a report that is there is whole, whenever one looks', async (t) => {
  const inbox = await temporaryFolder(t);
  const done = join(inbox, 'done');
  await mkdir(done);
  const report = `DONE\n${'all is well\n'.repeat(200)}`;
  const seen = new Set<number>();
  const lookAt = (path: string) => {
    try {
      seen.add(readFileSync(path).length);
    } catch (error) {
      // Those that are no longer kept may go in just this moment.
      assert.equal((error as NodeJS.ErrnoException).code, 'ENOENT');
    }
  };
  const watcher = watch(done, { persistent: false }, () => {
    for (const name of readdirSync(done)) if (name.endsWith('.txt')) lookAt(join(done, name));
  });
  for (let i = 0; i < 200; i++) {
    const path = join(inbox, `${i}.tar`);
    await writeFile(path, '');
    await archive({ path, format: 'bundle' } as Parameters<typeof archive>[0], {
      inbox,
      folder: 'done',
      report,
      keep: 3,
    });
  }
  watcher.close();
  assert.deepEqual([...seen], [report.length]);
  assert.deepEqual(
    (await readdir(done)).sort(),
    ['197', '198', '199'].flatMap((n) => [`${n}.tar`, `${n}.tar.txt`]),
  );
});
