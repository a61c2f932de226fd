/** What a `put` leaves that was killed. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { cacheOf, hostsOf } from '../../src/bundle/pool.ts';
import { putBundles } from '../../src/desk/pool/put.ts';
import { temporaryFolder, writeTestBundle } from '../support/bundles.ts';

test('what a put that was killed had begun goes with the next put, of whatever host', async (t) => {
  const folder = await temporaryFolder(t);
  const medium = join(folder, 'stick');
  await mkdir(medium);
  const put = async (sequence: number) => {
    const path = join(folder, `${sequence}.tar`);
    await writeTestBundle(path, { manifest: { host: 'web', sequence } });
    await putBundles({ medium, bundles: [path], keep: 1 });
  };
  const indexes = () => readdir(join(cacheOf(medium), 'index'));
  await put(1);
  const [sig = ''] = await indexes();
  // As SIGKILL leaves them: an entry and an index without their names, and an entry that was being completed.
  await mkdir(join(hostsOf(medium), 'mail/.7.part'), { recursive: true });
  await writeFile(join(hostsOf(medium), 'mail/.7.part/meta'), 'half');
  await writeFile(join(cacheOf(medium), 'index', `.${sig}.part`), 'half');
  await writeFile(join(hostsOf(medium), 'web/1/.contents.part'), 'half');
  const theirs = join(hostsOf(medium), 'mail/.notes');
  await writeFile(theirs, 'theirs');
  await put(2);
  assert.deepEqual(await readdir(join(hostsOf(medium), 'mail')), ['.notes']);
  assert.deepEqual((await readdir(join(hostsOf(medium), 'web'))).sort(), ['2', 'sequences']);
  assert.equal(await readFile(join(hostsOf(medium), 'web/sequences'), 'utf8'), '2\n');
  assert.deepEqual(
    (await indexes()).filter((name) => name.startsWith('.')),
    [],
  );
});
