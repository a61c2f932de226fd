/** Compressing for several hosts at once, and where the folder of what is kept goes away meanwhile: a build goes on all the same. */
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { zstdDecompressSync } from 'node:zlib';
import { encodeNix32 } from '../../src/core/nix32.ts';
import type { PathInfo } from '../../src/core/release/path-info.ts';
import { CacheFolder } from '../../src/desk/build/cache-folder.ts';
import { StoreCompressor } from '../../src/desk/build/compress.ts';
import { NarCache } from '../../src/desk/build/nar-cache.ts';
import { NarCounts } from '../../src/desk/build/nar-counts.ts';
import { narOf } from '../../src/nix/nar.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { smallDisk } from '../support/own-mounts.ts';
import { inOwnStore } from '../support/own-store.ts';
import { storePathOf } from '../support/releases.ts';

const digestOf = (bytes: Buffer) => encodeNix32(createHash('sha256').update(bytes).digest());

/** One of a file that is in the store folder. */
async function placed(n: number, contents: string | Buffer = `${n}`.repeat(1000)): Promise<PathInfo> {
  const path = storePathOf(n, `file-${n}`);
  await mkdir('/nix/store', { recursive: true });
  await writeFile(path, contents);
  const hash = createHash('sha256');
  let narSize = 0;
  for await (const chunk of narOf(path)) {
    hash.update(chunk);
    narSize += chunk.length;
  }
  return { path, narHash: `sha256:${encodeNix32(hash.digest())}`, narSize, references: [] };
}

async function compressing(t: TestContext, kept: string) {
  const folder = await temporaryFolder(t);
  const said: string[] = [];
  const nars = await NarCache.open(kept, (text) => said.push(text));
  const cache = new CacheFolder(join(folder, 'cache'));
  const counts = new NarCounts(cache, nars);
  const compressor = new StoreCompressor(join(folder, 'compressed'), { cache, counts, nars });
  const close = async () => {
    compressor.close();
    await nars?.close();
  };
  const bytesAt = async ({ path }: PathInfo) => {
    const file = cache.closureOf(path)[0]?.file;
    assert.ok(file !== undefined);
    const source = cache.sourceOf(file);
    const from = source.position ?? 0;
    return (await readFile(source.path)).subarray(from, from + file.size);
  };
  const digestAt = async (info: PathInfo) => [
    digestOf(await bytesAt(info)),
    cache.closureOf(info.path)[0]?.file?.digest,
  ];
  return { compressor, close, bytesAt, digestAt, said };
}

inOwnStore(import.meta.url, () => {
  test('two that begin at once lay their pieces into one place, and leave nothing behind', async (t) => {
    const kept = await temporaryFolder(t);
    const infos = await Promise.all([1, 2].map((n) => placed(n)));
    const { compressor, close, digestAt } = await compressing(t, kept);
    const done = await Promise.all(infos.map((info) => compressor.addAll([info], () => undefined)));
    assert.deepEqual(done, [true, true]);
    for (const info of infos) {
      const [is, said] = await digestAt(info);
      assert.equal(is, said);
    }
    await close();
    const left = await readdir(kept);
    assert.deepEqual([left.length, left.filter((name) => name.startsWith('.'))], [1, []]);
  });

  test('whatever its size, and whether or not it gets smaller, a piece is the NAR', async (t) => {
    const { compressor, close, bytesAt, digestAt } = await compressing(t, await temporaryFolder(t));
    const kibibyte = 1024;
    // What another thread compresses begins at 32 KiB, a file of its own at 1 MiB compressed; the largest come as streams.
    const sizes = [0, 1, 31, 32, 33, 64, 65, 1023, 1025, 3000, 17_000].map((size) => size * kibibyte);
    const infos: PathInfo[] = [];
    for (const size of sizes) {
      infos.push(await placed(100 + infos.length, randomBytes(size)));
      infos.push(await placed(100 + infos.length, Buffer.alloc(size, `${infos.length}`)));
    }
    assert.equal(await compressor.addAll(infos, () => undefined), true);
    for (const info of infos) {
      const [is, said] = await digestAt(info);
      assert.equal(is, said, info.path);
      const nar = zstdDecompressSync(await bytesAt(info));
      assert.equal(`sha256:${digestOf(nar)}`, info.narHash, info.path);
    }
    await close();
  });

  test('a disk that gets full ends it, also where a path comes as a stream', async (t) => {
    const disk = await smallDisk(t, 4 * 1024 * 1024);
    for (const [n, size] of [6_000_000, 20_000_000].entries()) {
      const cache = new CacheFolder(join(disk, 'cache'));
      const compressor = new StoreCompressor(join(disk, 'compressed'), {
        cache,
        counts: new NarCounts(cache),
      });
      const info = await placed(200 + n, randomBytes(size));
      await assert.rejects(
        compressor.addAll([info], () => undefined),
        { code: 'ENOSPC' },
      );
      compressor.close();
      await rm(join(disk, 'compressed'), { recursive: true });
    }
  });

  test('a folder that is deleted while a build goes on only keeps nothing', async (t) => {
    const kept = join(await temporaryFolder(t), 'kept');
    const { compressor, close, said } = await compressing(t, kept);
    await rm(kept, { recursive: true });
    assert.equal(await compressor.addAll([await placed(3)], () => undefined), true);
    await close();
    assert.match(said.join('\n'), /^note: nothing is kept for the next build: .*ENOENT/);
  });

  test('what had been altered is compressed anew once, however many hosts carry it', async (t) => {
    const kept = await temporaryFolder(t);
    const info = await placed(4);
    const first = await compressing(t, kept);
    await first.compressor.addAll([info], () => undefined);
    await first.close();
    const [run = ''] = await readdir(kept);
    await writeFile(join(kept, run, 'pieces'), Buffer.alloc(1000));
    const { compressor, close, digestAt } = await compressing(t, kept);
    assert.equal(await compressor.addAll([info], () => undefined), true);
    assert.equal(await compressor.replaceAltered(), true);
    const [is, said] = await digestAt(info);
    assert.equal(is, said);
    await rm(info.path);
    assert.equal(await compressor.replaceAltered(), true, 'another host is to try again as well');
    await close();
  });
});
