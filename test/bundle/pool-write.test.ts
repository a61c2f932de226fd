/** Writing into a pool, and clearing it: pieces whole or in parts, entries that count from their manifest on. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, stat, symlink, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { openParts, partName, sizeOfParts } from '../../src/bundle/parts.ts';
import { collectGarbage, entriesToPrune, removeEntry } from '../../src/bundle/pool-prune.ts';
import {
  completeEntry,
  hasContents,
  hasSize,
  prepareEntry,
  publishEntry,
  writePieceFile,
} from '../../src/bundle/pool-write.ts';
import { pieceName } from '../../src/core/release/contents-file.ts';
import { piecesInMemory, temporaryFolder, wholePiece } from '../support/bundles.ts';
import { digits } from '../support/releases.ts';

const bytes = randomBytes(1000);
const { piece } = wholePiece(0, bytes);
const reader = piecesInMemory(new Map([[pieceName(piece), bytes]]));

async function written(t: TestContext, largest?: number) {
  const path = join(await temporaryFolder(t), 'nar/aa/piece');
  const told: number[] = [];
  const options = { onBytes: (n: number) => told.push(n), ...(largest === undefined ? {} : { largest }) };
  const files = await writePieceFile(path, { reader, piece }, options);
  return { path, files, told, names: (await readdir(dirname(path))).sort() };
}

for (const [largest, parts] of [
  [undefined, undefined],
  [1000, undefined],
  [1001, undefined],
  [999, [999, 1]],
  [500, [500, 500]],
  [334, [334, 334, 332]],
  [100, Array.from({ length: 10 }, () => 100)],
] as const)
  test(`of a thousand bytes with ${largest ?? 'any number'} in a file there are ${parts?.length ?? 1} files`, async (t) => {
    const { path, files, told, names } = await written(t, largest);
    const wanted = parts === undefined ? [path] : parts.map((_, i) => partName(path, i));
    assert.deepEqual(files, wanted);
    assert.deepEqual(
      names,
      wanted.map((w) => w.slice(dirname(path).length + 1)),
    );
    assert.deepEqual(told, parts === undefined ? [1000] : [...parts]);
    assert.ok(Buffer.concat(await Promise.all(files.map((f) => readFile(f)))).equals(bytes));
    assert.deepEqual([await sizeOfParts(path), await hasSize(path, piece)], [1000, true]);
    assert.equal(await hasContents(path, piece), true);
  });

test('what an earlier writing has left goes, in whichever form', async (t) => {
  const { path } = await written(t, 100);
  await writePieceFile(path, { reader, piece }, {});
  assert.deepEqual(await readdir(dirname(path)), ['piece']);
  await writePieceFile(path, { reader, piece }, { largest: 600 });
  assert.deepEqual((await readdir(dirname(path))).sort(), ['piece.000', 'piece.001']);
});

test('a source that is damaged is not written as if it were whole', async (t) => {
  const path = join(await temporaryFolder(t), 'piece');
  const other = piecesInMemory(new Map([[pieceName(piece), randomBytes(1000)]]));
  await assert.rejects(writePieceFile(path, { reader: other, piece }), { code: 'bundle-altered' });
  const short = piecesInMemory(new Map([[pieceName(piece), bytes.subarray(1)]]));
  await assert.rejects(writePieceFile(path, { reader: short, piece }), { code: 'bundle-truncated' });
});

test('a file counts where it has size and contents, and is read no further where it has not the size', async (t) => {
  const { path } = await written(t, 400);
  const read: number[] = [];
  assert.equal(await hasContents(path, piece, (n) => read.push(n)), true);
  assert.deepEqual(read, [400, 400, 200], 'part by part');
  await writeFile(partName(path, 1), Buffer.alloc(400));
  assert.equal(await hasContents(path, piece), false);
  await truncate(partName(path, 1), 399);
  assert.deepEqual(
    [await hasSize(path, piece), await hasContents(path, piece, () => assert.fail('it was read'))],
    [false, false],
  );
  assert.equal(await hasContents(`${path}.none`, piece), false);
});

test('parts are read as one, from any place to any other', async (t) => {
  const { path } = await written(t, 334);
  const parts = await openParts(path);
  assert.ok(parts);
  for (const [at, length] of [
    ...([
      [0, 1000],
      [0, 334],
      [333, 2],
      [334, 1],
      [667, 2],
      [0, 0],
      [999, 1],
      [100, 800],
      [668, 332],
    ] as const),
  ]) {
    const buffer = Buffer.alloc(length);
    assert.equal(await parts.readInto(buffer, at), length);
    assert.ok(buffer.equals(bytes.subarray(at, at + length)), `${at} ${length}`);
  }
  assert.equal(await parts.readInto(Buffer.alloc(10), 995), 5);
  assert.equal(await parts.readInto(Buffer.alloc(10), 1000), 0);
  await truncate(partName(path, 1), 300);
  assert.equal(await parts.readInto(Buffer.alloc(1000), 0), 634, 'no further than the first that is short');
  await parts.close();
  await assert.rejects(parts.readInto(Buffer.alloc(10), 0), { code: 'io-error' });
});

test('there are no parts where there is neither file, and a link among them is refused', async (t) => {
  const { path } = await written(t, 600);
  assert.deepEqual(
    [await openParts(`${path}.none`), await sizeOfParts(`${path}.none`)],
    [undefined, undefined],
  );
  assert.equal(await openParts(join(partName(path, 0), 'below')), undefined);
  await symlink(partName(path, 0), partName(path, 2));
  await assert.rejects(openParts(path), { code: 'not-a-bundle' });
});

const files = {
  'manifest.json': Buffer.from('m'),
  'manifest.sig': Buffer.from('s'),
  contents: Buffer.from('c'),
  meta: Buffer.from('x'),
};

test('an entry is laid out where nobody looks, and takes its name whole', async (t) => {
  const folder = join(await temporaryFolder(t), 'hosts/web/7');
  const temporary = await prepareEntry(folder, files);
  assert.equal(temporary, join(dirname(folder), '.7.part'));
  assert.deepEqual(await readdir(dirname(folder)), ['.7.part']);
  await writeFile(join(temporary, 'left'), '');
  await prepareEntry(folder, files);
  assert.deepEqual((await readdir(temporary)).sort(), Object.keys(files).sort(), 'nothing of an earlier one');
  await mkdir(folder);
  await writeFile(join(folder, 'unfinished'), '');
  await publishEntry(temporary, folder);
  assert.deepEqual(await readdir(dirname(folder)), ['7']);
  for (const [name, text] of Object.entries(files))
    assert.deepEqual(await readFile(join(folder, name)), text);
});

test('an entry that is there is put right where it differs, and only there', async (t) => {
  const folder = join(await temporaryFolder(t), '7');
  await publishEntry(await prepareEntry(folder, files), folder);
  const before = await stat(join(folder, 'meta'));
  await writeFile(join(folder, 'contents'), 'other');
  await completeEntry(folder, { ...files, 'manifest.sig': Buffer.from('s2') });
  assert.equal(await readFile(join(folder, 'contents'), 'utf8'), 'c');
  assert.equal(await readFile(join(folder, 'manifest.sig'), 'utf8'), 's2');
  assert.deepEqual((await readdir(folder)).sort(), Object.keys(files).sort());
  assert.equal((await stat(join(folder, 'meta'))).ino, before.ino, 'what is right is not written anew');
});

test('an entry that is taken away leaves what somebody else has put there', async (t) => {
  const folder = join(await temporaryFolder(t), '7');
  await publishEntry(await prepareEntry(folder, files), folder);
  await writeFile(join(folder, 'theirs'), '');
  await removeEntry({ folder });
  assert.deepEqual(await readdir(folder), ['theirs']);
  const other = join(dirname(folder), '8');
  await publishEntry(await prepareEntry(other, files), other);
  await removeEntry({ folder: other });
  assert.deepEqual(await readdir(dirname(folder)), ['7']);
});

test('of a host’s entries the newest stay', () => {
  const entry = (host: string, sequence: number) => ({ host, sequence, folder: '' });
  const all = [entry('web', 2), entry('mail', 1), entry('web', 9), entry('web', 5)];
  const of = (keep: number) => entriesToPrune(all, 'web', keep).map((e) => e.sequence);
  assert.deepEqual([of(0), of(1), of(2), of(3)], [[9, 5, 2], [5, 2], [2], []]);
});

test('what no entry needs goes, in every form that we give it, and nothing else', async (t) => {
  const root = await temporaryFolder(t);
  const cache = join(root, 'nixmaker/cache');
  const [kept, spare] = [digits(1, 52), digits(2, 52)];
  const names = [
    ...[`index/${kept}`, `index/${kept}.sig`, `index/${spare}`, `index/${spare}.sig`, `index/${spare}.x`],
    ...[
      `nar/aa/${kept}.nar.zst`,
      `nar/aa/${spare}.nar.zst.000`,
      `nar/aa/${spare}.nar.zst.0`,
      `nar/aa/x${spare}.nar.zst`,
    ],
    ...[`delta/aa/${kept}.zst.001`, `delta/aa/${spare}.zst`, `delta/aa/${spare}.nar.zst`],
  ];
  for (const name of names) {
    await mkdir(dirname(join(cache, name)), { recursive: true });
    await writeFile(join(cache, name), '');
  }
  await writeFile(join(cache, 'nar/file'), '');
  const needs = [`index/${kept}`, `index/${kept}.sig`, `nar/aa/${kept}.nar.zst`, `delta/aa/${kept}.zst`];
  assert.equal(await collectGarbage(root, new Set(needs)), 4);
  const left = (await readdir(cache, { recursive: true, withFileTypes: true }))
    .filter((e) => e.isFile())
    .map((e) => join(e.parentPath, e.name).slice(cache.length + 1));
  const gone = [
    `index/${spare}`,
    `index/${spare}.sig`,
    `nar/aa/${spare}.nar.zst.000`,
    `delta/aa/${spare}.zst`,
  ];
  assert.deepEqual(left.sort(), [...names.filter((n) => !gone.includes(n)), 'nar/file'].sort());
});

test('a folder that a file system shows in capitals is the one that an entry means', async (t) => {
  const root = await temporaryFolder(t);
  const [kept, spare] = [digits(1, 52), digits(2, 52)];
  const folder = join(root, 'nixmaker/cache/nar/AB');
  await mkdir(folder, { recursive: true });
  for (const name of [kept, spare]) await writeFile(join(folder, `${name}.nar.zst`), '');
  assert.equal(await collectGarbage(root, new Set([`nar/ab/${kept}.nar.zst`])), 1);
  assert.deepEqual(await readdir(folder), [`${kept}.nar.zst`]);
});
