/** Pools: many hosts on one medium, parts for FAT32, and what a hostile or unfinished one does. */
import assert from 'node:assert/strict';
import {
  appendFile,
  mkdir,
  readdir,
  readFile,
  readlink,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { basename, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { checkAllPieces } from '../../src/bundle/contents.ts';
import { readHeadFiles } from '../../src/bundle/head-files.ts';
import { openParts, sizeOfParts } from '../../src/bundle/parts.ts';
import {
  cacheOf,
  hostsOf,
  listPool,
  measurePool,
  openPool,
  readPoolRelease,
  requirePlace,
} from '../../src/bundle/pool.ts';
import { collectGarbage } from '../../src/bundle/pool-prune.ts';
import { NixmakerError, type ReasonCode } from '../../src/core/errors.ts';
import { namesInContents } from '../../src/core/release/contents-file.ts';
import { withoutVerifying } from '../../src/desk/keys/read-release.ts';
import { putBundles } from '../../src/desk/pool/put.ts';
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
  const made = await writeTestBundle(bundle, { fileSizes: [700_000, 100], manifest: { sequence: 7 } });
  await putBundles({ medium, bundles: [bundle], keep: 1, ...(largest === undefined ? {} : { largest }) });
  return { folder, medium, bundle, made, entry: join(hostsOf(medium), 'web', '7') };
}

async function releaseOf(entry: string) {
  const head = await readHeadFiles(entry);
  assert.ok(head);
  const authentic = withoutVerifying(head);
  requirePlace(entry, authentic.manifest);
  return readPoolRelease(entry, authentic);
}

/** All pieces, each as announced. @returns their bytes */
async function readAll(entry: string): Promise<number> {
  const pool = openPool(entry, await releaseOf(entry));
  try {
    await checkAllPieces(pool);
  } finally {
    await pool.close();
  }
  return (await measurePool(entry, pool)).present;
}

/** Below `nar/`. */
const narsOf = async (medium: string) =>
  (await readdir(join(cacheOf(medium), 'nar'), { recursive: true })).filter((name) =>
    name.includes('.nar.zst'),
  );

test('what was put is read as it was signed', async (t) => {
  const { entry, medium } = await makePool(t);
  assert.ok((await readAll(entry)) > 700_000);
  assert.deepEqual(await listPool(medium), [{ host: 'web', sequence: 7, folder: entry }]);
});

test('a file too large for FAT32 lies in parts, which cat(1) would put together, and reads as one', async (t) => {
  const { entry, medium } = await makePool(t, 100_000);
  const large = (await narsOf(medium)).filter((n) => /\.nar\.zst\.\d{3}$/.test(n)).sort();
  assert.equal(large.length, 8, 'what is random, and what a NAR and a frame come to besides');
  const size = await readAll(entry);
  assert.ok(size > 700_000);
  const whole = join(cacheOf(medium), 'nar', (large[0] as string).replace(/\.000$/, ''));
  const bytes = (await sizeOfParts(whole)) ?? 0;
  assert.ok(bytes > 700_000 && bytes < size);
  const all = Buffer.concat(await Promise.all(large.map((n) => readFile(join(cacheOf(medium), 'nar', n)))));
  const parts = await openParts(whole);
  assert.ok(parts);
  const across = Buffer.alloc(150_000);
  assert.equal(await parts.readInto(across, 90_000), across.length);
  assert.deepEqual(across, all.subarray(90_000, 240_000), 'a read over two borders');
  assert.equal(await parts.readInto(Buffer.alloc(10), bytes), 0, 'and one beyond the end');
  await parts.close();
});

test('while a carrier is still at work bytes are missing, and the pool can’t be read', async (t) => {
  const { entry, medium } = await makePool(t);
  const release = await releaseOf(entry);
  const whole = await measurePool(entry, release);
  assert.equal(whole.present, whole.expected);
  const sizes = await Promise.all(
    (await narsOf(medium)).map(async (name) => (await readFile(join(cacheOf(medium), 'nar', name))).length),
  );
  const [largest = ''] = (await narsOf(medium)).filter((_, i) => sizes[i] === Math.max(...sizes));
  await rm(join(cacheOf(medium), 'nar', largest));
  const { present } = await measurePool(entry, release);
  assert.equal(present, whole.expected - Math.max(...sizes));
  await refused(readAll(entry), 'bundle-truncated');
  await rm(join(entry, 'manifest.sig'));
  assert.equal(await readHeadFiles(entry), undefined);
});

for (const [what, spoil, code] of [
  ['without its index', (path: string) => rm(path), 'bundle-truncated'],
  ['with half of its index', async (path: string) => truncate(path, 100), 'bundle-truncated'],
  [
    'with another index',
    async (path: string) => writeFile(path, (await readFile(path)).fill(0x20)),
    'bundle-altered',
  ],
] as const)
  test(`an entry ${what} can’t be read`, async (t) => {
    const { entry, medium } = await makePool(t);
    const [index = ''] = (await readdir(join(cacheOf(medium), 'index'))).filter((n) => !n.endsWith('.sig'));
    await spoil(join(cacheOf(medium), 'index', index));
    await refused(readAll(entry), code);
  });

test('Nix’s signatures travel beside the index, and without them an entry is read all the same', async (t) => {
  const { entry, medium, made } = await makePool(t);
  assert.deepEqual((await releaseOf(entry)).nixSignatures.keyNames, made.release.nixSignatures.keyNames);
  const names = await readdir(join(cacheOf(medium), 'index'));
  await rm(join(cacheOf(medium), 'index', names.find((n) => n.endsWith('.sig')) ?? ''));
  assert.deepEqual((await releaseOf(entry)).nixSignatures.keyNames, []);
});

test('contents tell the names of their pieces without an index; what is none of them, tells nothing', async (t) => {
  const { made } = await makePool(t);
  const { contentsBytes } = made.release;
  assert.deepEqual([...namesInContents(contentsBytes)].sort(), [...made.pieces.keys()].sort());
  const [head = '', ...lines] = contentsBytes.toString().trimEnd().split('\n');
  const none = [
    [],
    lines,
    [head, '[]'],
    [head, '[0,"whole",1,"../../etc/passwd"]'],
    [head, '[0,"text",1,2]'],
    [head, '0'],
  ];
  for (const bad of none)
    assert.throws(() => namesInContents(Buffer.from(bad.map((l) => `${l}\n`).join(''))), /bundle-malformed/);
});

test('what no entry needs is cleared away, parts as well, and nothing that has another name', async (t) => {
  const { entry, medium } = await makePool(t, 100_000);
  const theirs = ['index/README', 'nar/README', 'nar/aa'];
  for (const name of theirs) await writeFile(join(cacheOf(medium), name), '');
  const needed = namesInContents((await releaseOf(entry)).contentsBytes);
  assert.equal(
    await collectGarbage(medium, needed),
    2,
    'its index and the signatures, which it was not said to need',
  );
  const files = (await narsOf(medium)).length;
  assert.equal(await collectGarbage(medium, new Set()), files);
  for (const name of theirs) assert.equal(await readFile(join(cacheOf(medium), name), 'utf8'), '');
});

test('a piece that has grown does not stand in for one that is missing', async (t) => {
  const { entry, medium } = await makePool(t);
  const release = await releaseOf(entry);
  const { expected } = await measurePool(entry, release);
  const names = await narsOf(medium);
  const sizes = new Map<string, number>();
  for (const name of names) sizes.set(name, (await stat(join(cacheOf(medium), 'nar', name))).size);
  const [smallest = '', ...others] = names.toSorted((a, b) => (sizes.get(a) ?? 0) - (sizes.get(b) ?? 0));
  await rm(join(cacheOf(medium), 'nar', smallest));
  for (const name of others) await appendFile(join(cacheOf(medium), 'nar', name), Buffer.alloc(5000));
  assert.deepEqual(await measurePool(entry, release), {
    expected,
    present: expected - (sizes.get(smallest) ?? 0),
  });
});

/** Files of the medium that this process has open: as long as there is one, umount(8) says that it is busy. */
async function heldOpen(medium: string): Promise<string[]> {
  const links = (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => ''));
  return (await Promise.all(links)).filter((path) => path.startsWith(medium));
}

for (const largest of [undefined, 100_000])
  test(`no file of a pool stays open, ${largest === undefined ? 'whole' : 'or in parts'}: unmounting would say busy`, async (t) => {
    const { entry, medium } = await makePool(t, largest);
    const pool = openPool(entry, await releaseOf(entry));
    assert.deepEqual(await heldOpen(medium), []);
    const large = [...pool.pieces.values()].flat().find((piece) => piece.size > 600_000);
    assert.ok(large !== undefined);
    await pool.reader.readInto(large, Buffer.alloc(10), 0);
    assert.equal(
      (await heldOpen(medium)).length,
      largest === undefined ? 1 : 8,
      'a piece that is being read',
    );
    await pool.close();
    assert.deepEqual(await heldOpen(medium), [], 'after it was closed midway');
    await checkAllPieces(pool);
    assert.deepEqual(await heldOpen(medium), [], 'after each was read to its end');
    await pool.reader.readInto(large, Buffer.alloc(10), large.size - 5);
    assert.deepEqual(await heldOpen(medium), [], 'and beyond it');
  });

test('a changed piece is noticed', async (t) => {
  const { entry, medium } = await makePool(t);
  for (const name of await narsOf(medium)) {
    const path = join(cacheOf(medium), 'nar', name);
    const bytes = await readFile(path);
    bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1;
    await writeFile(path, bytes);
  }
  await refused(readAll(entry), 'bundle-altered');
});

test('an entry that a carrier has not brought whole is not there yet', async (t) => {
  const { entry } = await makePool(t);
  await rm(join(entry, 'contents'));
  await assert.rejects(readAll(entry), { code: 'bundle-truncated', detail: 'its contents list is missing' });
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

test('links in a pool are no pieces', async (t) => {
  const { entry, medium, folder } = await makePool(t);
  for (const name of await narsOf(medium)) {
    const path = join(cacheOf(medium), 'nar', name);
    const elsewhere = join(folder, basename(name));
    await rename(path, elsewhere);
    await symlink(elsewhere, path);
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
