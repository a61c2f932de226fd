/** Pools: many hosts on one medium, parts for FAT32, and what a hostile or unfinished one does. */
import assert from 'node:assert/strict';
import { appendFile, mkdir, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { streamMember } from '../../src/bundle/contents.ts';
import { readHeadFiles } from '../../src/bundle/head-files.ts';
import { openParts, sizeOfParts } from '../../src/bundle/parts.ts';
import { cacheOf, hostsOf, listPool, openPool, presentInPool, requirePlace } from '../../src/bundle/pool.ts';
import { NixmakerError, type ReasonCode } from '../../src/core/errors.ts';
import { putBundles } from '../../src/desk/pool/put.ts';
import { readManifest } from '../../src/signing/verify.ts';
import { temporaryFolder, writeTestBundle } from '../support/bundles.ts';

async function refused(work: Promise<unknown>, code: ReasonCode): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof NixmakerError, String(error));
    assert.equal(error.code, code, error.detail);
    return true;
  });
}

async function makePool(t: TestContext, largest?: number) {
  const folder = await temporaryFolder(t);
  const medium = join(folder, 'stick');
  await mkdir(medium);
  const bundle = join(folder, 'web.tar');
  await writeTestBundle(bundle, { narSizes: [700_000, 100], manifest: { sequence: 7 } });
  await putBundles({ medium, bundles: [bundle], keep: 1, ...(largest === undefined ? {} : { largest }) });
  return { folder, medium, bundle, entry: join(hostsOf(medium), 'web', '7') };
}

async function readAll(entry: string): Promise<number> {
  const head = await readHeadFiles(entry);
  assert.ok(head);
  const manifest = readManifest(head.manifestBytes);
  requirePlace(entry, manifest);
  const pool = await openPool(entry, manifest);
  let bytes = 0;
  try {
    for (const member of manifest.members)
      for await (const chunk of streamMember(pool, member)) bytes += chunk.length;
  } finally {
    await pool.close();
  }
  return bytes;
}

const narsOf = async (medium: string) => readdir(join(cacheOf(medium), 'nar'));

test('what was put is read as it was signed', async (t) => {
  const { entry, medium } = await makePool(t);
  assert.ok((await readAll(entry)) > 700_000);
  assert.deepEqual(await listPool(medium), [{ host: 'web', sequence: 7, folder: entry }]);
});

test('a file too large for FAT32 lies in parts, which cat(1) would put together, and reads as one', async (t) => {
  const { entry, medium } = await makePool(t, 100_000);
  const large = (await narsOf(medium)).filter((n) => /\.nar\.zst\.\d{3}$/.test(n)).sort();
  assert.equal(large.length, 7);
  assert.ok((await readAll(entry)) > 700_000);
  const whole = join(cacheOf(medium), 'nar', (large[0] as string).replace(/\.000$/, ''));
  assert.equal(await sizeOfParts(whole), 700_000);
  const all = Buffer.concat(await Promise.all(large.map((n) => readFile(join(cacheOf(medium), 'nar', n)))));
  const parts = await openParts(whole);
  assert.ok(parts);
  const across = Buffer.alloc(150_000);
  assert.equal(await parts.readInto(across, 90_000), across.length);
  assert.deepEqual(across, all.subarray(90_000, 240_000), 'a read over two borders');
  assert.equal(await parts.readInto(Buffer.alloc(10), 700_000), 0, 'and one beyond the end');
  await parts.close();
});

test('while a carrier is still at work bytes are missing, and the pool can’t be read', async (t) => {
  const { entry, medium } = await makePool(t);
  const head = await readHeadFiles(entry);
  assert.ok(head);
  const manifest = readManifest(head.manifestBytes);
  const size = manifest.members.reduce((sum, m) => sum + m.size, 0);
  assert.equal(await presentInPool(entry, manifest), size);
  const nar = manifest.members.find((m) => m.size === 700_000);
  await rm(join(cacheOf(medium), nar?.name ?? ''));
  assert.equal(await presentInPool(entry, manifest), size - 700_000);
  await refused(readAll(entry), 'bundle-truncated');
  const sig = join(entry, 'manifest.sig');
  await rm(sig);
  assert.equal(await readHeadFiles(entry), undefined);
});

test('a changed member is never handed over whole', async (t) => {
  const { entry, medium } = await makePool(t);
  for (const name of await narsOf(medium)) {
    const path = join(cacheOf(medium), 'nar', name);
    const bytes = await readFile(path);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await writeFile(path, bytes);
  }
  await refused(readAll(entry), 'bundle-altered');
});

test('a manifest in the folder of another sequence or host is refused', async (t) => {
  const { entry, medium } = await makePool(t);
  const moved = join(hostsOf(medium), 'web', '900');
  await rename(entry, moved);
  await refused(readAll(moved), 'bundle-malformed');
  const other = join(hostsOf(medium), 'mail', '7');
  await mkdir(join(hostsOf(medium), 'mail'));
  await rename(moved, other);
  await refused(readAll(other), 'bundle-malformed');
});

test('links and pipes in a pool are no members', async (t) => {
  const { entry, medium, folder } = await makePool(t);
  for (const name of await narsOf(medium)) {
    const path = join(cacheOf(medium), 'nar', name);
    await rename(path, join(folder, name));
    await symlink(join(folder, name), path);
  }
  await refused(readAll(entry), 'not-a-bundle');
});

test('unfinished folders, foreign names and leading zeros are no sequences', async (t) => {
  const { entry, medium } = await makePool(t);
  for (const name of ['.8.part', '007', '-1', '1e3', '99999999999999999999', 'notes'])
    await mkdir(join(hostsOf(medium), 'web', name));
  await mkdir(join(hostsOf(medium), '.stfolder', '1'), { recursive: true });
  await appendFile(join(hostsOf(medium), 'web', '12'), 'a file');
  assert.deepEqual(await listPool(medium), [{ host: 'web', sequence: 7, folder: entry }]);
});
