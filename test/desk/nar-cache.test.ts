/** What is kept for the next build: found as it was, never found otherwise, and bounded. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { PieceSum } from '../../src/bundle/piece-sum.ts';
import { encodeNix32 } from '../../src/core/nix32.ts';
import { encodeKeptList, type KeptNar, keptList, readKeptList } from '../../src/desk/build/kept-list.ts';
import { NarCache, narCacheFolder } from '../../src/desk/build/nar-cache.ts';
import { main } from '../machines/compiled.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { makeDesk } from '../support/desk.ts';
import { writeFlake } from '../support/fleet.ts';
import { digits } from '../support/releases.ts';

const { builder, folder: desk, keys, ok } = await makeDesk();

const digestOf = (bytes: Buffer) => encodeNix32(createHash('sha256').update(bytes).digest());
const nar = (n: number) => ({ narHash: digits(n, 52), narSize: 1000 + n });

async function open(folder: string, most?: number): Promise<NarCache> {
  const said: string[] = [];
  const cache = await NarCache.open(folder, (text) => said.push(text), most);
  assert.deepEqual(said, []);
  assert.ok(cache !== undefined);
  return cache;
}

/** One run that keeps these pieces. */
async function keepIn(folder: string, pieces: ReadonlyMap<number, Buffer>, most?: number): Promise<void> {
  const cache = await open(folder, most);
  const place = await cache.place();
  let position = 0;
  for (const [n, bytes] of pieces) {
    await writeFile(join(place, 'pieces'), bytes, { flag: 'a' });
    const sum = new PieceSum().add(bytes).end();
    const kept = { digest: digestOf(bytes), size: bytes.length, sum, file: 'pieces', position };
    cache.keep({ ...nar(n), ...kept, files: n, blocks: 2 * n, expressions: n });
    position += bytes.length;
  }
  await cache.close();
}

/** What is found of it, read where it is said to be. */
async function foundIn(folder: string, n: number): Promise<Buffer | undefined> {
  const cache = await open(folder);
  try {
    const found = cache.find(nar(n));
    if (found === undefined) return undefined;
    assert.deepEqual(found.count, { files: n, blocks: 2 * n, expressions: n });
    const bytes = await readFile(found.source.path);
    const { position = 0 } = found.source;
    return bytes.subarray(position, position + found.file.size);
  } finally {
    await cache.close();
  }
}

const runsIn = async (folder: string) => (await readdir(folder)).filter((name) => !name.startsWith('.'));

test('what one run has kept the next one finds, and nothing else', async (t) => {
  const folder = await temporaryFolder(t);
  await keepIn(
    folder,
    new Map([
      [1, Buffer.from('one')],
      [2, Buffer.from('two and more')],
    ]),
  );
  await keepIn(folder, new Map([[3, Buffer.alloc(0)]]));
  assert.equal((await foundIn(folder, 2))?.toString(), 'two and more');
  assert.equal((await foundIn(folder, 3))?.length, 0);
  assert.equal(await foundIn(folder, 4), undefined);
  const cache = await open(folder);
  assert.equal(cache.find({ ...nar(1), narSize: 7 }), undefined, 'another size is another NAR');
  assert.deepEqual(cache.count(nar(1)), { files: 1, blocks: 2, expressions: 1 });
  await cache.close();
  assert.equal((await runsIn(folder)).length, 2, 'a run that compressed nothing keeps nothing');
  assert.deepEqual(
    (await readdir(folder)).filter((name) => name.startsWith('.')),
    [],
  );
});

/** A cache that holds piece 1, whose run was then treated badly. */
async function spoiled(t: TestContext, spoil: (run: string) => Promise<void>): Promise<string> {
  const folder = await temporaryFolder(t);
  await keepIn(folder, new Map([[1, Buffer.from('the piece')]]));
  await spoil(join(folder, String((await runsIn(folder))[0])));
  return folder;
}

test('a piece whose bits have turned, or that is cut short, is found out; one that is gone is not found', async (t) => {
  const ways: ((run: string) => Promise<void>)[] = [
    (run) => writeFile(join(run, 'pieces'), 'the p1ece'),
    (run) => writeFile(join(run, 'pieces'), 'the p'),
  ];
  for (const way of ways) {
    const cache = await open(await spoiled(t, way));
    assert.ok(cache.find(nar(1)) !== undefined);
    assert.equal(cache.isIntact(nar(1)), false);
    assert.equal(cache.find(nar(1)), undefined);
    await cache.close();
  }
  assert.equal(await foundIn(await spoiled(t, (run) => rm(join(run, 'pieces'))), 1), undefined);
  const sound = await open(await spoiled(t, async () => undefined));
  sound.find(nar(1));
  assert.equal(sound.isIntact(nar(1)), true);
  await sound.close();
});

test('a list that is damaged, or of another zstd, is no list', async (t) => {
  const change = (from: RegExp | string, to: string) => async (run: string) => {
    const path = join(run, keptList);
    const text = await readFile(path, 'utf8');
    assert.notEqual(text.replace(from, to), text);
    await writeFile(path, text.replace(from, to));
  };
  const ways = [
    change(/zstd \S+/, 'zstd 0.0.1'),
    change('pieces', '../pieces'),
    change(/\n$/, ''),
    change(/ \d+\n$/, '\n'),
    // What a NAR is made of is signed as it is said here.
    change(/\d\n$/, '7\n'),
  ];
  for (const way of ways) assert.equal(await foundIn(await spoiled(t, way), 1), undefined);
});

test('a list reads as it was written', () => {
  const hash = fc.array(fc.constantFrom(...'0123456789abcdfghijklmnpqrsvwxyz'), {
    minLength: 52,
    maxLength: 52,
  });
  const size = fc.integer({ min: 0, max: 999_999_999_999_999 });
  const kept: fc.Arbitrary<KeptNar> = fc.record(
    {
      narHash: hash.map((all) => all.join('')),
      narSize: size,
      digest: hash.map((all) => all.join('')),
      size,
      sum: fc.nat().map((n) => n.toString(16).padStart(32, '0')),
      file: fc.oneof(
        fc.constant('pieces'),
        hash.map((all) => `${all.slice(0, 32).join('')}.zst`),
      ),
      position: size,
      files: size,
      blocks: size,
      expressions: size,
    },
    { noNullPrototype: true },
  );
  fc.assert(
    fc.property(fc.array(kept, { maxLength: 5 }), (nars) => {
      assert.deepEqual(readKeptList(encodeKeptList(nars)), nars);
    }),
  );
});

test('what was used longest ago gives way, and what is being read stays readable', async (t) => {
  const folder = await temporaryFolder(t);
  const piece = (n: number) => Buffer.alloc(100_000, n);
  for (const n of [1, 2, 3]) {
    await keepIn(folder, new Map([[n, piece(n)]]));
    for (const run of await runsIn(folder)) {
      const list = join(folder, run, keptList);
      const { mtimeMs } = await stat(list);
      await utimes(list, 0, mtimeMs / 1000 - 1000);
    }
  }
  assert.deepEqual(await foundIn(folder, 1), piece(1), 'and so it was used last');
  const reading = await open(folder);
  const found = reading.find(nar(2));
  await keepIn(folder, new Map([[4, piece(4)]]), 250_000);
  for (const n of [2, 3]) assert.equal(await foundIn(folder, n), undefined);
  for (const n of [1, 4]) assert.deepEqual(await foundIn(folder, n), piece(n));
  assert.deepEqual(await readFile(String(found?.source.path)), piece(2));
  await reading.close();
});

test('a run that was given up keeps nothing', async (t) => {
  const folder = await temporaryFolder(t);
  const cache = await open(folder);
  await writeFile(join(await cache.place(), 'pieces'), 'one');
  cache.keep({
    ...nar(1),
    digest: digestOf(Buffer.from('one')),
    size: 3,
    sum: new PieceSum().end(),
    file: 'pieces',
    position: 0,
    files: 1,
    blocks: 2,
    expressions: 0,
  });
  cache.abandon(Object.assign(new Error('full'), { code: 'ENOSPC' }));
  await cache.close();
  assert.deepEqual(await readdir(folder), []);
});

test('a folder that can’t be used is told of, and a build goes on without', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'file'), '');
  const said: string[] = [];
  assert.equal(await NarCache.open(join(folder, 'file', 'nars'), (text) => said.push(text)), undefined);
  assert.match(said.join(), /^note: nothing is kept for the next build: .* cannot be used: ENOTDIR/);
});

test('it lies in the user’s cache folder', () => {
  assert.equal(narCacheFolder({ XDG_CACHE_HOME: '/x' }), '/x/nixmaker/nars');
  assert.match(narCacheFolder({ XDG_CACHE_HOME: 'x' }) ?? '', /^\/.*\/\.cache\/nixmaker\/nars$/);
  const nobody = () => {
    throw new Error('uv_os_homedir returned ENOENT');
  };
  assert.equal(narCacheFolder({}, nobody), undefined, 'a user without a home has no cache');
});

test('what an earlier build has compressed is used again, and the bytes are the same', async () => {
  const flake = await writeFlake(join(desk, 'kept'));
  const cache = join(desk, 'kept-cache');
  const build = async (out: string, ...more: string[]) => {
    const args = ['-f', `path:${flake}`, '-d', join(desk, out), '--key', keys.secretFile, ...more];
    const ran = await builder.nixmaker(['build', ...args], { env: { XDG_CACHE_HOME: cache } });
    assert.equal(ran.code, 0, ran.stderr);
    return readFile(join(desk, out, 'web', 'web.tar'));
  };
  const runs = async () =>
    (await readdir(join(cache, 'nixmaker/nars'))).filter((name) => !name.startsWith('signatures-'));
  const plain = await build('kept-0', '--no-cache');
  assert.equal(existsSync(join(cache, 'nixmaker')), false);
  assert.ok(plain.equals(await build('kept-1')));
  const first = await runs();
  assert.equal(first.length, 1);
  assert.ok(plain.equals(await build('kept-2')));
  assert.deepEqual(await runs(), first, 'nothing was left to compress');
  // Bits that turn on the desk’s disk get into no bundle.
  const pieces = join(cache, 'nixmaker/nars', String(first[0]), 'pieces');
  const bytes = await readFile(pieces);
  bytes[100] = (bytes[100] ?? 0) ^ 1;
  await writeFile(pieces, bytes);
  assert.ok(plain.equals(await build('kept-3')));
  assert.equal((await runs()).length, 2, 'what was altered was compressed anew');
});

test('where there is no room to keep what was compressed, the bundle is built all the same', async () => {
  const flake = await writeFlake(join(desk, 'tight'));
  const cache = join(desk, 'tight-cache');
  await mkdir(cache);
  const args = ['build', '-f', `path:${flake}`, '--key', keys.secretFile];
  await ok(...args, '-d', join(desk, 'tight-0'), '--no-cache');
  const onSmallDisk = 'mount -t tmpfs -o size=4k none "$XDG_CACHE_HOME/nixmaker"; exec "$@"';
  await mkdir(join(cache, 'nixmaker'));
  const command = [process.execPath, main, ...args, '-d', join(desk, 'tight-1')];
  const ran = await builder.run(['unshare', '--mount', 'sh', '-euc', onSmallDisk, 'sh', ...command], {
    env: { XDG_CACHE_HOME: cache },
  });
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /note: nothing is kept for the next build: there is no space in/);
  const [plain, tight] = await Promise.all(
    ['tight-0', 'tight-1'].map((out) => readFile(join(desk, out, 'web/web.tar'))),
  );
  assert.ok(plain?.equals(tight as Buffer));
});
