/** Files that bundles are read from: bounds of what is read, what is no file, and the NAR of what lies in one. */
import assert from 'node:assert/strict';
import {
  appendFile,
  chmod,
  mkdir,
  open,
  readdir,
  readlink,
  rm,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  bundleFileOf,
  exactly,
  openBundleFile,
  openIfThere,
  readBeginning,
  readSmall,
  sizeOfFile,
} from '../../src/bundle/file.ts';
import { openParts, partName, sizeOfParts } from '../../src/bundle/parts.ts';
import { hostsOf, listPool, measurePool, openPool } from '../../src/bundle/pool.ts';
import { hasContents, hasSize } from '../../src/bundle/pool-write.ts';
import { signedFileOf } from '../../src/bundle/write.ts';
import { pieceName } from '../../src/core/release/contents-file.ts';
import { narOf } from '../../src/nix/nar.ts';
import { nix32Of, signedFileOfBytes, temporaryFolder, wholePiece } from '../support/bundles.ts';

test('of a file its size is told, and nothing of one that is not there', async (t) => {
  const path = join(await temporaryFolder(t), 'x');
  assert.equal(await sizeOfFile(path), 0);
  assert.equal(await openIfThere(path), undefined);
  assert.equal(await readSmall(path, 10), undefined);
  assert.equal(await openIfThere(join(path, 'below')), undefined);
  await writeFile(path, '0123456789');
  assert.equal(await sizeOfFile(path), 10);
  await assert.rejects(openIfThere(join(path, 'below')), { code: 'io-error' });
  assert.equal(await openIfThere(join(path, 'below'), 'ENOTDIR'), undefined);
  await symlink(path, `${path}.link`);
  await assert.rejects(openBundleFile(`${path}.link`), { code: 'not-a-bundle' });
});

test('a small file is read as far as asked for, and refused where it is larger than it may be', async (t) => {
  const path = join(await temporaryFolder(t), 'x');
  await writeFile(path, '0123456789');
  assert.equal(String(await readSmall(path, 10)), '0123456789');
  await assert.rejects(readSmall(path, 9), {
    code: 'bundle-malformed',
    detail: `${path} has 10 bytes; the limit is 9`,
  });
  assert.equal(String(await readBeginning(path, { bytes: 4, most: 10 })), '0123');
  assert.equal(String(await readBeginning(path, { bytes: 40, most: 10 })), '0123456789');
});

test('a part is read exactly, to the last byte of the file and not beyond', async (t) => {
  const path = join(await temporaryFolder(t), 'x');
  await writeFile(path, '0123456789');
  const file = await openBundleFile(path);
  assert.equal(String(await file.read(3, 4)), '3456');
  assert.equal(String(await file.read(6, 4)), '6789');
  assert.equal((await file.read(10, 0)).length, 0);
  await assert.rejects(file.read(6, 5), { code: 'bundle-truncated', detail: 'the file ends at byte 10' });
  const buffer = Buffer.alloc(8, 'x');
  assert.equal(await file.readInto(buffer, 7), 3);
  assert.equal(String(buffer), '789xxxxx');
  await file.close();
  await assert.rejects(file.readInto(buffer, 0), { code: 'io-error' });
});

test('a file that grows shorter while it is read ends where it ends', async () => {
  const read = exactly({ size: async () => 100, readInto: async () => 7 });
  await assert.rejects(read(20, 10), { code: 'bundle-truncated', detail: 'the file ends at byte 27' });
  assert.equal((await exactly({ size: async () => 100, readInto: async () => 10 })(90, 10)).length, 10);
});

test('a part that is larger than any is not even made room for, though the file has it as a hole', async (t) => {
  const path = join(await temporaryFolder(t), 'x');
  await writeFile(path, '');
  await truncate(path, 200 * 1024 * 1024);
  const handle = await open(path);
  const file = bundleFileOf(handle, 'x');
  const most = 64 * 1024 * 1024 + 512;
  await assert.rejects(file.read(0, most + 1), { code: 'bundle-malformed' });
  assert.equal((await file.read(0, most)).length, most);
  await file.close();
});

test('a file in parts is as large as all of them, and read across them; a part that is missing ends it', async (t) => {
  const path = join(await temporaryFolder(t), 'x');
  assert.deepEqual([await sizeOfParts(path), await openParts(path)], [undefined, undefined]);
  for (const [i, text] of ['0123', '45', '6789'].entries()) await writeFile(partName(path, i), text);
  assert.equal(partName(path, 2), `${path}.002`);
  assert.equal(await sizeOfParts(path), 10);
  const parts = await openParts(path);
  assert.ok(parts !== undefined);
  for (let from = 0; from <= 11; from++)
    for (let length = 0; length <= 11; length++) {
      const buffer = Buffer.alloc(length, 'x');
      const got = await parts.readInto(buffer, from);
      const expected = '0123456789'.slice(from, from + length);
      assert.deepEqual(
        [got, String(buffer)],
        [expected.length, expected.padEnd(length, 'x')],
        `${from}+${length}`,
      );
    }
  await truncate(partName(path, 0), 3);
  assert.equal(await parts.readInto(Buffer.alloc(8), 0), 3, 'what is gone is not made up for by the next');
  await parts.close();
  await writeFile(partName(path, 4), 'x');
  assert.equal(await sizeOfParts(path), 9);
  await writeFile(path, 'whole');
  assert.equal(await sizeOfParts(path), 5);
  const whole = await openParts(path);
  assert.equal(await whole?.readInto(Buffer.alloc(9), 0), 5);
  await whole?.close();
});

test('what lies in a pool’s place is a piece by its size, and by its digest', async (t) => {
  const path = join(await temporaryFolder(t), 'x');
  const bytes = Buffer.from('piece');
  const { piece } = wholePiece(0, bytes);
  assert.deepEqual([await hasSize(path, piece), await hasContents(path, piece)], [false, false]);
  await writeFile(path, bytes);
  let read = 0;
  const onBytes = (n: number) => {
    read += n;
  };
  assert.deepEqual([await hasSize(path, piece), await hasContents(path, piece, onBytes)], [true, true]);
  assert.equal(read, bytes.length);
  await writeFile(path, 'peace');
  assert.deepEqual([await hasSize(path, piece), await hasContents(path, piece)], [true, false]);
  await appendFile(path, 'x');
  assert.deepEqual([await hasSize(path, piece), await hasContents(path, piece)], [false, false]);
});

test('a pool is listed by host, the highest sequence first; what is no host’s or no sequence is passed over', async (t) => {
  const root = await temporaryFolder(t);
  assert.deepEqual(await listPool(root), []);
  const place = (host: string, name: string) => join(hostsOf(root), host, name);
  const good = [
    ['mail', '1'],
    ['mail', '9'],
    ['mail', '10'],
    ['web', '2'],
    ['a', '9007199254740991'],
  ] as const;
  const bad = [
    ...[place('web', '0'), place('web', '01'), place('web', '1.5'), place('web', '9007199254740992')],
    ...[place('web', '.3.part'), place('.web', '1'), place('we b', '1'), place('web', '99999999999999999')],
  ];
  for (const folder of [...bad, ...good.map(([host, name]) => place(host, name))])
    await mkdir(folder, { recursive: true });
  await writeFile(place('web', '7'), '');
  await writeFile(join(hostsOf(root), 'file'), '');
  const listed = (only?: string) => listPool(root, only).then((all) => all.map((e) => [e.host, e.sequence]));
  assert.deepEqual(await listed(), [
    ...[['a', 9007199254740991] as const, ['mail', 10] as const, ['mail', 9] as const, ['mail', 1] as const],
    ['web', 2],
  ]);
  assert.deepEqual(await listed('mail'), [
    ['mail', 10],
    ['mail', 9],
    ['mail', 1],
  ]);
  assert.deepEqual(await listed('none'), []);
  assert.deepEqual((await listPool(root, 'web'))[0]?.folder, place('web', '2'));
});

test('how much of a release is there is counted by its pieces, none beyond its size, each once', async (t) => {
  const root = await temporaryFolder(t);
  const folder = join(hostsOf(root), 'web', '1');
  const pieces = [wholePiece(0, Buffer.from('12345')), wholePiece(1, Buffer.from('678'))].map((p) => p.piece);
  const release = { pieces: new Map(pieces.map((p) => [p.line, [p]])) } as never;
  assert.deepEqual(await measurePool(folder, release), { present: 0, expected: 8 });
  const cache = join(root, 'nixmaker/cache');
  const [first, second] = pieces.map((p) => join(cache, pieceName(p)));
  await mkdir(join(first as string, '..'), { recursive: true });
  await writeFile(first as string, '123456789');
  assert.deepEqual(await measurePool(folder, release), { present: 5, expected: 8 });
  await mkdir(join(second as string, '..'), { recursive: true });
  await writeFile(second as string, '6');
  assert.deepEqual(await measurePool(folder, release), { present: 6, expected: 8 });
});

/** Files below a folder that this process has open. */
async function openBelow(folder: string): Promise<number> {
  const links = await readdir('/proc/self/fd');
  const targets = await Promise.all(links.map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')));
  return targets.filter((target) => target.startsWith(folder)).length;
}

test('a piece of a pool is open while it is being read, and what is read can’t be swapped by its name', async (t) => {
  const root = await temporaryFolder(t);
  const bytes = Buffer.from('0123456789');
  const [piece, gone] = [wholePiece(0, bytes).piece, wholePiece(1, Buffer.from('gone')).piece];
  const path = join(root, 'nixmaker/cache', pieceName(piece));
  await mkdir(join(path, '..'), { recursive: true });
  await writeFile(path, bytes);
  const pool = openPool(join(hostsOf(root), 'web', '1'), { pieces: new Map() } as never);
  const read = async (from: number, length: number) => {
    const buffer = Buffer.alloc(length);
    return String(buffer.subarray(0, await pool.reader.readInto(piece, buffer, from)));
  };
  assert.equal(await read(0, 4), '0123');
  assert.equal(await openBelow(root), 1);
  await rm(path);
  await writeFile(path, 'swapped');
  assert.equal(await read(4, 3), '456');
  assert.equal(await read(7, 3), '789');
  assert.equal(await openBelow(root), 0, 'it has been read to its end');
  assert.equal(await read(0, 4), 'swap');
  await writeFile(path, 'sho');
  assert.equal(await read(0, 5), 'sho');
  assert.equal(await openBelow(root), 0, 'it ended early');
  await assert.rejects(pool.reader.readInto(gone, Buffer.alloc(1), 0), {
    code: 'bundle-truncated',
    detail: `${pieceName(gone)} is missing`,
  });
  await mkdir(join(root, 'nixmaker/cache', pieceName(gone), '..'), { recursive: true });
  await writeFile(join(root, 'nixmaker/cache', pieceName(gone)), 'gone');
  assert.equal(await pool.reader.readInto(gone, Buffer.alloc(2), 0), 2, 'it has come since');
  await read(0, 1);
  assert.equal(await openBelow(root), 2);
  await pool.close();
  assert.equal(await openBelow(root), 0);
});

async function nar(path: string, expected?: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of narOf(path, expected)) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks);
}

test('in a NAR a file is executable where its owner may run it, whoever else may', async (t) => {
  const path = join(await temporaryFolder(t), 'x');
  await writeFile(path, 'text');
  for (const [mode, runs] of [
    [0o644, false],
    [0o645, false],
    [0o654, false],
    [0o744, true],
    [0o755, true],
    [0o100, true],
  ] as const) {
    await chmod(path, mode);
    assert.equal((await nar(path)).includes('executable'), runs, mode.toString(8));
  }
});

test('a NAR is the same whatever is expected of its size, and its pieces come as large as they may', async (t) => {
  const path = join(await temporaryFolder(t), 'x');
  await writeFile(path, Buffer.alloc(2 * 1024 * 1024 + 100, 'y'));
  const whole = await nar(path);
  for (const expected of [0, 1, 10, whole.length - 1, whole.length, whole.length + 1])
    assert.deepEqual(await nar(path, expected), whole, String(expected));
  const lengths: number[] = [];
  for await (const chunk of narOf(path)) lengths.push(chunk.length);
  const last = whole.length - 64 * 1024 - 2 ** 20;
  assert.deepEqual(lengths, [64 * 1024, 2 ** 20, last]);
  const small = join(path, '..', 'y');
  await writeFile(small, 'small');
  const one: number[] = [];
  for await (const chunk of narOf(small, (await nar(small)).length)) one.push(chunk.length);
  assert.deepEqual(one, [120]);
});

test('size and digest of a file are of all of it', async (t) => {
  const path = join(await temporaryFolder(t), 'x');
  for (const size of [0, 1, 3 * 1024 * 1024 + 1]) {
    const bytes = Buffer.alloc(size, 'z');
    await writeFile(path, bytes);
    assert.deepEqual(await signedFileOf(path), signedFileOfBytes(bytes));
  }
  assert.equal(nix32Of(Buffer.alloc(0)).length, 52);
});
