/** What lies in folders that others own: nothing there leads anywhere, waits, or takes more memory than was allowed for. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import {
  chmod,
  chown,
  mkdir,
  readdir,
  readFile,
  rename,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import {
  isForeignFolder,
  namesInForeign,
  openForeign,
  openForeignFile,
  openForeignIn,
  openPlainFile,
  openPlainFileIn,
  readForeign,
  withForeign,
} from '../../src/files/foreign.ts';
import { entriesNow, inFolderNow, readNow } from '../../src/files/foreign-now.ts';
import { temporaryFolder } from '../support/bundles.ts';

const agent = 990;
const asRoot = process.getuid?.() === 0 ? {} : { skip: 'for root, whom alone others can lead anywhere' };

/** A folder of root’s, in it one of the agent’s and a secret. */
async function scene(t: TestContext) {
  const root = await temporaryFolder(t);
  await chmod(root, 0o755);
  const [theirs, secret] = [join(root, 'theirs'), join(root, 'secret')];
  await mkdir(theirs);
  await mkdir(secret);
  await writeFile(join(secret, 'file'), 'secret');
  if (asRoot.skip === undefined) await chown(theirs, agent, agent);
  return { root, theirs, secret };
}

const make = (program: string, ...args: readonly string[]) => execFileSync(program, args);

for (const [what, put, code] of [
  ['a link to a file', (path: string, secret: string) => symlink(join(secret, 'file'), path), 'ELOOP'],
  ['a link to a folder', (path: string, secret: string) => symlink(secret, path), 'ELOOP'],
  ['a link to nothing', (path: string) => symlink('nothing', path), 'ELOOP'],
  ['a link to itself', (path: string) => symlink(path, path), 'ELOOP'],
  ['a pipe', async (path: string) => void make('mkfifo', path), 'EFTYPE'],
  ['a folder', (path: string) => mkdir(path), 'EFTYPE'],
] as const)
  test(`${what} in the place of a file is not opened, by its path or by its name`, async (t) => {
    const { theirs, secret } = await scene(t);
    const path = join(theirs, 'file');
    await put(path, secret);
    await assert.rejects(openPlainFile(path), { code });
    await assert.rejects(readForeign(theirs, 'file', 100), { code });
    await assert.rejects(openForeignFile(theirs, 'file'), { code });
    await withForeign(theirs, async (folder) => {
      await assert.rejects(openPlainFileIn(folder, 'file'), { code });
      assert.throws(() => readNow(folder, 'file', 100), { code });
      if (what === 'a folder') assert.deepEqual(inFolderNow(folder, 'file', entriesNow), []);
      else assert.throws(() => inFolderNow(folder, 'file', entriesNow), { code: /ELOOP|ENOTDIR/ });
    });
    if (code === 'ELOOP') await assert.rejects(openForeign(path), { code: /ELOOP|ENOTDIR/ });
    assert.equal(
      await isForeignFolder(path),
      what === 'a folder' || (what === 'a link to a folder' && asRoot.skip !== undefined),
    );
  });

test('a device is not opened', asRoot, async (t) => {
  const { theirs } = await scene(t);
  make('mknod', join(theirs, 'zero'), 'c', '1', '5');
  await assert.rejects(readForeign(theirs, 'zero', 100), { code: 'EFTYPE' });
  await withForeign(theirs, async (folder) => {
    assert.throws(() => readNow(folder, 'zero', 100), { code: 'EFTYPE' });
    assert.throws(() => inFolderNow(folder, 'zero', entriesNow), { code: 'ENOTDIR' });
  });
});

test('what is there is read, what is not there is no fault, and what is larger than allowed is', async (t) => {
  const { theirs } = await scene(t);
  await writeFile(join(theirs, 'file'), 'text');
  assert.equal(String(await readForeign(theirs, 'file', 4)), 'text');
  await assert.rejects(readForeign(theirs, 'file', 3), { code: 'EFBIG' });
  assert.equal(await readForeign(theirs, 'missing', 3), undefined);
  assert.equal(await readForeign(join(theirs, 'missing'), 'file', 3), undefined);
  await withForeign(theirs, async (folder) => {
    assert.equal(String(readNow(folder, 'file', 4)), 'text');
    assert.throws(() => readNow(folder, 'file', 3), { code: 'EFBIG' });
    assert.equal(readNow(folder, 'missing', 3), undefined);
    assert.throws(() => inFolderNow(folder, 'missing', entriesNow), { code: 'ENOENT' });
  });
  await truncate(join(theirs, 'file'), 2 ** 42);
  await assert.rejects(readForeign(theirs, 'file', 1000), { code: 'EFBIG' });
});

for (const name of ['', '.', '..', '../secret/file', '/etc/passwd', 'a/b', 'a\0b'])
  test(`${JSON.stringify(name)} is no name in a folder`, async (t) => {
    const { theirs } = await scene(t);
    await assert.rejects(readForeign(theirs, name, 100), { code: 'EFTYPE' });
    await withForeign(theirs, async (folder) => {
      await assert.rejects(openForeignIn(folder, name), { code: 'EFTYPE' });
      assert.throws(() => readNow(folder, name, 100), { code: 'EFTYPE' });
      assert.throws(() => inFolderNow(folder, name, entriesNow), { code: 'EFTYPE' });
    });
  });

test('names are counted', async (t) => {
  const { theirs } = await scene(t);
  for (const name of ['a', 'b', 'c']) await writeFile(join(theirs, name), '');
  assert.equal((await withForeign(theirs, (folder) => namesInForeign(folder, 2))).length, 2);
});

test('an open folder stays the one that was opened, whatever comes in its place', async (t) => {
  const { theirs, secret, root } = await scene(t);
  await writeFile(join(theirs, 'file'), 'theirs');
  await withForeign(theirs, async (folder) => {
    await rename(theirs, join(root, 'moved'));
    await symlink(secret, theirs);
    const file = await openPlainFileIn(folder, 'file');
    assert.equal(await file.readFile('utf8'), 'theirs');
    await file.close();
  });
});

test(
  'a link on the way is followed where only root can have put it there, and no other',
  asRoot,
  async (t) => {
    const { root, theirs, secret } = await scene(t);
    await mkdir(join(root, 'real/inner'), { recursive: true });
    await writeFile(join(root, 'real/inner/file'), 'text');
    await symlink('real', join(root, 'roots'));
    await symlink('../real', join(root, 'real/up'));
    await symlink(secret, join(theirs, 'led'));
    const read = async (folder: string) => String(await readForeign(folder, 'file', 100));
    assert.equal(await read(join(root, 'roots/inner')), 'text');
    assert.equal(await read(join(root, 'roots/up/inner')), 'text');
    for (const folder of [join(theirs, 'led'), join(theirs, 'led/.'), join(theirs, 'led/../secret')])
      await assert.rejects(openPlainFile(join(folder, 'file')), /ENOENT|ELOOP|someone else/, folder);
    await assert.rejects(readForeign(join(theirs, 'led'), 'file', 100), { code: 'ELOOP' });
    // Root's own link, but where the agent could have brought it; and the agent's, where root's would count.
    await symlink('real', join(root, 'given'));
    make('chown', '-h', `${agent}`, join(root, 'given'));
    await assert.rejects(read(join(root, 'given/inner')), { code: 'ELOOP' });
    await chmod(root, 0o777);
    await assert.rejects(read(join(root, 'roots/inner')), { code: 'ELOOP' });
    // Where everybody may write but nobody may take away what is another's, root's word stands.
    await chmod(root, 0o1777);
    assert.equal(await read(join(root, 'roots/inner')), 'text');
  },
);

test('links that go round in a ring are an end, not a wait', asRoot, async (t) => {
  const { root } = await scene(t);
  await symlink('b', join(root, 'a'));
  await symlink('a', join(root, 'b'));
  await assert.rejects(openForeign(join(root, 'a'), 'follow'), { code: 'ELOOP' });
  await assert.rejects(openPlainFile(join(root, 'a/file')), { code: 'ELOOP' });
});

test('no descriptor is left behind, whatever was found', async (t) => {
  const { theirs, secret } = await scene(t);
  await symlink(secret, join(theirs, 'link'));
  await writeFile(join(theirs, 'file'), 'text');
  const open = async () => (await readdir('/proc/self/fd')).length;
  const before = await open();
  for (let i = 0; i < 20; i++) {
    await readForeign(theirs, 'file', 100);
    await readForeign(theirs, 'file', 1).catch(() => undefined);
    await readForeign(theirs, 'link', 100).catch(() => undefined);
    await openPlainFile(join(theirs, 'link/file')).then(
      (file) => file.close(),
      () => undefined,
    );
  }
  assert.ok((await open()) <= before + 1);
  assert.equal(await readFile(join(secret, 'file'), 'utf8'), 'secret');
});
