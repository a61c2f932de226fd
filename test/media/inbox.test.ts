/** However many files there are: what is looked at, and what it costs to be told that something has come. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { listInbox, listInboxFrom } from '../../src/media/inbox.ts';
import { watchInbox } from '../../src/media/watch-inbox.ts';
import { temporaryFolder } from '../support/bundles.ts';

const none = new Set<string>();

async function inboxOf(t: TestContext, count: number): Promise<string> {
  const inbox = join(await temporaryFolder(t), 'inbox');
  await mkdir(join(inbox, 'one-deep'), { recursive: true });
  for (let i = 0; i < count; i++)
    await writeFile(join(inbox, i % 2 === 0 ? 'one-deep' : '.', `${String(i).padStart(6, '0')}.tar`), '');
  return inbox;
}

test('a thousand candidates at a time, all of them in the end, and what was asked for first', async (t) => {
  const inbox = await inboxOf(t, 2500);
  const seen: string[] = [];
  let after = '';
  for (let hasMore = true; hasMore; ) {
    const listing = await listInboxFrom(inbox, { after, first: none });
    assert.ok(listing.candidates.length <= 1000);
    seen.push(...listing.candidates.map((c) => c.path));
    after = seen.at(-1) ?? '';
    hasMore = listing.hasMore;
  }
  assert.equal(new Set(seen).size, 2500);
  assert.deepEqual(seen, [...seen].sort());
  const last = seen.at(-1) as string;
  const first = new Set([last, join(inbox, 'not-there.tar')]);
  assert.equal((await listInboxFrom(inbox, { after: '', first })).candidates[0]?.path, last);
  assert.equal((await listInbox(inbox)).length, 1000);
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
