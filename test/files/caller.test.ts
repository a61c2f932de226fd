/** What root makes in a folder of whoever called sudo(8) is theirs, and nothing else: they may change any name there meanwhile. */
import assert from 'node:assert/strict';
import fs, { chmod, chown, mkdir, rename, stat, symlink } from 'node:fs/promises';
import { syncBuiltinESMExports } from 'node:module';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeKeyFiles } from '../../src/desk/keys/key-files.ts';
import { temporaryFolder } from '../support/bundles.ts';

const caller = 990;
const asRoot = process.getuid?.() === 0 ? {} : { skip: 'for root, whom alone sudo makes' };
const ownerOf = async (path: string) => (await stat(path)).uid;

/** A folder of theirs, and one of root’s with another in it. */
async function scene(t: TestContext) {
  const root = await temporaryFolder(t);
  await chmod(root, 0o755);
  const [theirs, roots] = [join(root, 'theirs'), join(root, 'roots')];
  await mkdir(theirs);
  await mkdir(join(roots, 'new'), { recursive: true });
  await chown(theirs, caller, caller);
  const before = process.env.SUDO_UID;
  process.env.SUDO_UID = String(caller);
  t.after(() => {
    if (before === undefined) delete process.env.SUDO_UID;
    else process.env.SUDO_UID = before;
  });
  return { theirs, roots };
}

test('folders and keys that root makes in theirs are theirs', asRoot, async (t) => {
  const { theirs } = await scene(t);
  const { secretFile } = await makeKeyFiles('fleet-1', join(theirs, 'keys/new'));
  for (const path of [join(theirs, 'keys'), join(theirs, 'keys/new'), secretFile])
    assert.equal(await ownerOf(path), caller);
});

test('a link that takes the place of a folder just made gives away nothing of root’s', asRoot, async (t) => {
  const { theirs, roots } = await scene(t);
  const make = fs.mkdir;
  const swapping = (async (path: string, options: object) => {
    const made = await make(path, options);
    await rename(join(theirs, 'keys'), join(theirs, 'aside'));
    await symlink(roots, join(theirs, 'keys'));
    return made;
  }) as typeof fs.mkdir;
  fs.mkdir = swapping;
  syncBuiltinESMExports();
  t.after(() => {
    fs.mkdir = make;
    syncBuiltinESMExports();
  });
  const { secretFile } = await makeKeyFiles('fleet-1', join(theirs, 'keys/new'));
  assert.equal(await ownerOf(join(roots, 'new')), 0);
  assert.equal(await ownerOf(secretFile), 0);
});
