/** However many files there are: what is looked at, and what it costs to be told that something has come. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type Candidate, candidateAt, inboxWindows, listInbox } from '../../src/media/inbox.ts';
import { watchInbox } from '../../src/media/watch-inbox.ts';
import { temporaryFolder } from '../support/bundles.ts';

async function inboxOf(t: TestContext, count: number): Promise<string> {
  const inbox = join(await temporaryFolder(t), 'inbox');
  await mkdir(join(inbox, 'one-deep'), { recursive: true });
  for (let i = 0; i < count; i++)
    await writeFile(join(inbox, i % 2 === 0 ? 'one-deep' : '.', `${String(i).padStart(6, '0')}.tar`), '');
  return inbox;
}

/** All of these can be read. */
const beside = {
  onFault: (folder: string, error: unknown) => {
    throw new Error(folder, { cause: error });
  },
};

test('a thousand candidates at a time, each once, and each name read once', async (t) => {
  const inbox = await inboxOf(t, 2500);
  await mkdir(join(inbox, 'done'));
  await writeFile(join(inbox, 'done/old.tar'), '');
  const windows: string[][] = [];
  for await (const window of inboxWindows(inbox, beside)) {
    windows.push(window.map((c) => c.path));
    // What comes while a round goes on is read in it or in the next; what goes is no fault.
    if (windows.length === 1) await rm(join(inbox, 'one-deep'), { recursive: true });
  }
  assert.deepEqual(
    windows.map((w) => w.length),
    [1000, 250],
    'those of the inbox itself come before those of its folders',
  );
  for (const window of windows) assert.deepEqual(window, window.toSorted());
  assert.equal(new Set(windows.flat()).size, 1250);
});

test('of a few files there is one window, sorted by path whatever folder they are in', async (t) => {
  const inbox = await inboxOf(t, 20);
  const windows: (readonly Candidate[])[] = [];
  for await (const window of inboxWindows(inbox, beside)) windows.push(window);
  assert.equal(windows.length, 1);
  assert.deepEqual(windows[0], await listInbox(inbox, beside));
  assert.equal((await listInbox(await inboxOf(t, 2500), beside)).length, 1000);
});

test('a name is a candidate where the list would have it, and nowhere else', () => {
  const formatOf = (path: string) => candidateAt('/inbox', path)?.format;
  assert.deepEqual(['/inbox/a.tar', '/inbox/x/a.tar.age', '/inbox/x/a.tar.gz'].map(formatOf), [
    'bundle',
    'bundle',
    'classic',
  ]);
  // As a FAT stick, a phone or a person writes them.
  assert.deepEqual(['/inbox/FIRST.TAR', '/inbox/x/Web.Tar.Age', '/inbox/x/A.TAR.GZ'].map(formatOf), [
    'bundle',
    'bundle',
    'classic',
  ]);
  for (const path of [
    'a.txt',
    '.a.tar',
    '.x/a.tar',
    'x/y/a.tar',
    'done/a.tar',
    'refused/a.tar',
    '../a.tar',
    '',
  ])
    assert.equal(formatOf(join('/inbox', path)), undefined, path);
});

/** Watches that the kernel keeps for this process (proc_pid_fdinfo(5), inotify). */
async function watches(): Promise<number> {
  let count = 0;
  for (const fd of await readdir('/proc/self/fdinfo')) {
    const text = await readFile(`/proc/self/fdinfo/${fd}`, 'utf8').catch(() => '');
    count += text.match(/^inotify wd:/gm)?.length ?? 0;
  }
  return count;
}

test('folders are watched, and no files; what changes is named, also in a folder that is new', async (t) => {
  const inbox = await inboxOf(t, 500);
  await mkdir(join(inbox, 'done'));
  const before = await watches();
  const waiting = new Map<string, () => void>();
  const watch = await watchInbox(inbox, (path) => {
    if (path !== undefined) waiting.get(path)?.();
  });
  t.after(() => watch.close());
  // The inbox, the folder in it, and what chokidar keeps above to see it come back.
  assert.ok((await watches()) - before <= 4, `${(await watches()) - before} watches`);
  const named = (path: string, by: () => Promise<unknown>) =>
    new Promise<void>((resolve, reject) => {
      waiting.set(path, resolve);
      by().catch(reject);
    });
  for (const name of ['new.tar', 'one-deep/new.tar']) {
    const path = join(inbox, name);
    await named(path, () => writeFile(path, 'x'));
    // As carriers do: under another name, and then renamed.
    const renamed = join(dirname(path), `renamed-${basename(path)}`);
    await named(renamed, () => rename(path, renamed));
  }
  await named(join(inbox, 'later'), () => mkdir(join(inbox, 'later')));
});

test('a thousand folders take no more watches than a few hundred', async (t) => {
  const inbox = await inboxOf(t, 0);
  for (let i = 0; i < 1000; i++) await mkdir(join(inbox, `folder-${i}`));
  const before = await watches();
  const watch = await watchInbox(inbox, () => undefined);
  t.after(() => watch.close());
  assert.ok((await watches()) - before <= 260, `${(await watches()) - before} watches`);
});
