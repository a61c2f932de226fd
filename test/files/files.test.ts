import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rename, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { openForeign } from '../../src/files/foreign.ts';
import { isFolder, namesIn, readIfThere, readText } from '../../src/files/read.ts';
import { writeAllWhole, writeAtomically, writeWhole } from '../../src/files/write.ts';
import { temporaryFolder } from '../support/bundles.ts';

test('what is not there is no fault where it need not be, and one with its code where it must', async (t) => {
  const folder = await temporaryFolder(t);
  const missing = join(folder, 'missing');
  assert.equal(await readIfThere(missing), undefined);
  assert.deepEqual(await namesIn(missing), []);
  assert.equal(await isFolder(missing), false);
  await assert.rejects(readText(missing, 'key-malformed'), { code: 'key-malformed' });
});

test('a file where a folder is looked for is a fault, unless the place is a hostile one', async (t) => {
  const file = join(await temporaryFolder(t), 'file');
  await writeFile(file, 'text');
  await assert.rejects(namesIn(file), { code: 'ENOTDIR' });
  assert.deepEqual(await namesIn(file, 'ENOTDIR'), []);
  assert.equal(await isFolder(file), false);
});

test('a writing that fails leaves what was there, and nothing beside it', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'file');
  await writeWhole(file, 'before');
  const failing = writeAtomically(file, async (out) => {
    await out.writeFile('half');
    throw new Error('enough');
  });
  await assert.rejects(failing, /enough/);
  assert.equal(await readFile(file, 'utf8'), 'before');
  assert.deepEqual(await readdir(folder), ['file']);
});

test('several that are written together are all there, or what was there before and nothing beside it', async (t) => {
  const folder = await temporaryFolder(t);
  await writeAllWhole(folder, new Map(Object.entries({ a: '1', b: '2' })));
  await mkdir(join(folder, 'c'));
  await assert.rejects(writeAllWhole(folder, new Map(Object.entries({ c: '3', a: '4' }))), {
    code: 'EISDIR',
  });
  assert.equal(await readFile(join(folder, 'a'), 'utf8'), '1');
  assert.deepEqual((await readdir(folder)).sort(), ['a', 'b', 'c']);
});

test('an open folder stays the one that was opened, and a link in its place is not followed', async (t) => {
  const root = await temporaryFolder(t);
  const [mine, theirs] = [join(root, 'mine'), join(root, 'theirs')];
  await mkdir(mine);
  await mkdir(theirs);
  const opened = await openForeign(mine);
  try {
    await rename(mine, join(root, 'moved'));
    await symlink(theirs, mine);
    await writeWhole(join(opened.path, 'file'), 'text');
    assert.deepEqual(await readdir(join(root, 'moved')), ['file']);
    assert.deepEqual(await readdir(theirs), []);
    await assert.rejects(openForeign(mine), { code: /ENOTDIR|ELOOP/ });
    await (await openForeign(mine, 'follow')).handle.close();
  } finally {
    await opened.handle.close();
  }
});
