/** Whose folder the cache lies in: only this user’s own, and only if nobody else may write to it. */
import assert from 'node:assert/strict';
import { chmod, chown, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { PieceSum } from '../../src/bundle/piece-sum.ts';
import { NarCache } from '../../src/desk/build/nar-cache.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { digits } from '../support/releases.ts';

const nar = { narHash: digits(1, 52), narSize: 3 };

async function open(folder: string): Promise<NarCache> {
  const cache = await NarCache.open(folder, assert.fail);
  assert.ok(cache !== undefined);
  return cache;
}

/** @returns the run that keeps it */
async function keepOne(folder: string): Promise<string> {
  const cache = await open(folder);
  const bytes = Buffer.from('one');
  await writeFile(join(await cache.place(), 'pieces'), bytes);
  const piece = { digest: digits(2, 52), size: bytes.length, sum: new PieceSum().add(bytes).end() };
  cache.keep({ ...nar, ...piece, file: 'pieces', position: 0, files: 1, blocks: 1, expressions: 0 });
  await cache.close();
  const [run = ''] = (await readdir(folder)).filter((name) => !name.startsWith('.'));
  return run;
}

async function isFound(folder: string): Promise<boolean> {
  const cache = await open(folder);
  const found = cache.find(nar);
  await cache.close();
  return found !== undefined;
}

test('a folder that others may write to is not used, and it is told what to do; nor is a run of theirs in it', async (t) => {
  const folder = await temporaryFolder(t);
  const run = await keepOne(folder);
  const isClosed = ((await stat(join(folder, run))).mode & 0o077) === 0;
  assert.ok(isClosed, 'whatever the umask lets others do with the files in it');
  for (const mode of [0o775, 0o757, 0o1777]) {
    await chmod(folder, mode);
    const said: string[] = [];
    assert.equal(await NarCache.open(folder, (text) => said.push(text)), undefined);
    assert.deepEqual(said, [
      `note: nothing is kept for the next build: ${folder} cannot be used: others can write to it (if nobody has: chmod -R go-w ${folder})`,
    ]);
  }
  await chmod(folder, 0o755);
  assert.ok(await isFound(folder));
  await chmod(join(folder, run), 0o775);
  assert.equal(await isFound(folder), false);
});

test('a link to a folder of another user’s is not followed', async (t) => {
  const [folder, theirs] = [await temporaryFolder(t), await temporaryFolder(t)];
  await chown(theirs, 1234, 1234);
  const link = join(folder, 'nars');
  await symlink(theirs, link);
  const said: string[] = [];
  assert.equal(await NarCache.open(link, (text) => said.push(text)), undefined);
  assert.match(said.join(), /nars cannot be used: it belongs to another user$/);
});
