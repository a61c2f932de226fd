/** `status --watch` and `events --follow`, where others have put something in the place of the files that are watched. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { FSWatcher } from 'chokidar';
import { watchFiles } from '../../src/media/watch-files.ts';
import { temporaryFolder } from '../support/bundles.ts';

test('what a link leads to is not watched, nor what is in a folder, and the file beside them is', async (t) => {
  const root = await temporaryFolder(t);
  const deep = join(root, 'elsewhere/a/b');
  await mkdir(deep, { recursive: true });
  await writeFile(join(deep, 'file'), '');
  const [link, folder, file] = ['link', 'folder', 'file'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  await symlink(join(root, 'elsewhere'), link);
  await mkdir(join(folder, 'a/b'), { recursive: true });
  await writeFile(file, '');
  let hint: (() => void) | undefined;
  const hinted = new Promise<void>((resolve) => {
    hint = resolve;
  });
  const watcher = watchFiles([link, folder, file], () => hint?.()) as FSWatcher;
  t.after(() => watcher.close());
  await once(watcher, 'ready');
  const watched = Object.keys(watcher.getWatched());
  for (const path of [join(root, 'elsewhere'), deep, join(folder, 'a')])
    assert.ok(!watched.includes(path), path);
  await writeFile(file, 'changed');
  await hinted;
});

test('a file is noticed that comes later, in a folder that comes later', async (t) => {
  const root = await temporaryFolder(t);
  const file = join(root, 'state/journal');
  let hint: (() => void) | undefined;
  const hinted = new Promise<void>((resolve) => {
    hint = resolve;
  });
  const watcher = watchFiles([file], () => hint?.()) as FSWatcher;
  t.after(() => watcher.close());
  await once(watcher, 'ready');
  await mkdir(join(root, 'state'));
  await writeFile(file, 'written');
  await hinted;
});
