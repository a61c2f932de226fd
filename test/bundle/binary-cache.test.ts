import assert from 'node:assert/strict';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { serveBundle } from '../../src/bundle/binary-cache.ts';
import { type Narinfo, parseNarinfo } from '../../src/core/bundle/narinfo.ts';

import { type Piece, pieceName } from '../../src/core/release/contents-file.ts';
import { hashPart } from '../../src/core/store-path.ts';
import {
  type BundlePlan,
  bytesOf,
  deltaPiece,
  nix32Of,
  openTestBundle,
  temporaryFolder,
  wholePiece,
  writeTestBundle,
} from '../support/bundles.ts';
import { storePathOf } from '../support/releases.ts';

const base = Buffer.from('what this machine has '.repeat(100));

/** A bundle that is served, all of it missing from the store; of several ways the first. */
async function served(t: TestContext, plan: BundlePlan, without: readonly number[] = []) {
  const path = join(await temporaryFolder(t), 'web.tar');
  const { nars } = await writeTestBundle(path, plan);
  const bundle = await openTestBundle(path);
  const chosen = new Map<number, Piece>();
  for (const [line, [first]] of bundle.pieces)
    if (first !== undefined && !without.includes(line)) chosen.set(line, first);
  const cache = await serveBundle(bundle, {
    secret: 'secret',
    chosen,
    signaturesOf: (line) => [...bundle.nixSignatures.of(line), `root-1:${line}`],
    narOf: () => bytesOf(base),
  });
  t.after(async () => {
    await cache.close();
    await bundle.file.close();
  });
  const ask = (name: string, init?: RequestInit) => fetch(`${cache.url}/${name}`, init);
  const narinfo = async (line: number): Promise<Narinfo> =>
    parseNarinfo(await (await ask(`${hashPart(bundle.index.path(line))}.narinfo`)).text());
  const nar = async (line: number) => Buffer.from(await (await ask((await narinfo(line)).url)).arrayBuffer());
  return { path, nars, bundle, cache, ask, narinfo, nar };
}

test('each path is served as it was signed, decompressed or restored, with every signature there is', async (t) => {
  const { bundle, nars, narinfo, nar, ask } = await served(t, {
    fileSizes: [600_000, 20],
    pieces: ([library = base, text = base, system = base]) => [
      wholePiece(0, zstdCompressSync(library)),
      wholePiece(1, zstdCompressSync(text)),
      deltaPiece(2, zstdCompressSync(system, { dictionary: base }), {
        base: storePathOf(1),
        baseNarHash: nix32Of(base),
      }),
    ],
  });
  assert.match(await (await ask('nix-cache-info')).text(), /^StoreDir: \/nix\/store$/m);
  for (let line = 0; line < bundle.index.length; line++) {
    const told = await narinfo(line);
    const { path, narHash, narSize, references } = bundle.index.info(line);
    assert.deepEqual([told.path, told.narHash, told.narSize], [path, narHash, narSize]);
    assert.deepEqual(told.references, references);
    assert.deepEqual(told.signatures, [...bundle.nixSignatures.of(line), `root-1:${line}`]);
    const head = await ask(told.url, { method: 'HEAD' });
    assert.equal(head.headers.get('content-length'), String(narSize));
    assert.ok((await nar(line)).equals(nars[line] as Buffer));
  }
});

test('what is valid already is named, for Nix asks for all of a closure, and can’t be had', async (t) => {
  const { narinfo, ask } = await served(t, {}, [0]);
  const { url } = await narinfo(0);
  assert.equal((await ask(url)).status, 404);
});

test('it answers under its secret path, and nowhere else', async (t) => {
  const { cache, ask, narinfo } = await served(t, {});
  const { origin } = new URL(cache.url);
  const { url } = await narinfo(0);
  for (const wrong of [
    `${origin}/nix-cache-info`,
    `${origin}/other/${url}`,
    `${cache.url}/../secret/manifest.json`,
    `${cache.url}/x`,
    `${cache.url}/nar/${url}`,
    `${cache.url}/meta`,
  ])
    assert.equal((await fetch(wrong)).status, 404, wrong);
  assert.equal((await ask(url, { method: 'PUT', body: 'x' })).status, 404);
});

test('a piece that is altered after it was checked breaks the download, and the cache says why', async (t) => {
  const { path, bundle, cache, narinfo, nar } = await served(t, { fileSizes: [600_000, 20] });
  const { url } = await narinfo(0);
  const piece = bundle.pieces.get(0)?.[0] as Piece;
  const file = await open(path, 'r+');
  await file.write(Buffer.from('changed'), 0, 7, (bundle.positions.get(pieceName(piece)) ?? 0) + 1000);
  await file.close();
  await assert.rejects(nar(0), url);
  assert.equal(cache.fault()?.code, 'bundle-altered');
});

test('a piece of another path breaks the download, and the cache says whose fault it is', async (t) => {
  const { cache, nar } = await served(t, {
    pieces: ([library = base]) => [0, 1, 2].map((line) => wholePiece(line, zstdCompressSync(library))),
  });
  await nar(0);
  assert.equal(cache.fault(), undefined);
  await assert.rejects(nar(1));
  assert.equal(cache.fault()?.code, 'bundle-malformed');
});

test('of what is served NARs are counted, once they have gone whole; a word about them is no NAR', async (t) => {
  const { cache, ask, narinfo, nar, bundle } = await served(t, {});
  const { url, narSize } = await narinfo(0);
  const head = await ask(url, { method: 'HEAD' });
  assert.deepEqual([head.status, head.headers.get('content-type')], [200, 'application/octet-stream']);
  assert.equal(cache.bytesServed(), 0);
  await nar(0);
  assert.equal(cache.bytesServed(), narSize);
  await nar(1);
  assert.equal(cache.bytesServed(), narSize + bundle.index.narSize(1));
  assert.equal(cache.fault(), undefined);
});

test('of deltas one is restored at a time, for each holds its base in memory', async (t) => {
  const path = join(await temporaryFolder(t), 'web.tar');
  await writeTestBundle(path, {
    pieces: (nars) =>
      nars.map((nar, line) =>
        deltaPiece(line, zstdCompressSync(nar, { dictionary: base }), {
          base: storePathOf(1),
          baseNarHash: nix32Of(base),
        }),
      ),
  });
  const bundle = await openTestBundle(path);
  let [atWork, most, begun] = [0, 0, 0];
  const gate: (() => void)[] = [];
  const cache = await serveBundle(bundle, {
    secret: 'secret',
    chosen: new Map([...bundle.pieces].map(([line, [first]]) => [line, first as Piece])),
    signaturesOf: () => [],
    narOf: () => ({
      size: base.length,
      chunks: (async function* () {
        begun += 1;
        atWork += 1;
        most = Math.max(most, atWork);
        await new Promise<void>((resolve) => gate.push(resolve));
        atWork -= 1;
        yield Buffer.from(base);
      })(),
    }),
  });
  t.after(async () => {
    await cache.close();
    await bundle.file.close();
  });
  const all = [0, 1, 2].map(async (line) => {
    const response = await fetch(`${cache.url}/nar/${hashPart(bundle.index.path(line))}.nar`);
    return (await response.arrayBuffer()).byteLength;
  });
  // Each is let go when it has begun; were there two at a time, both would be waiting here.
  for (let n = 1; n <= 3; n++) {
    while (gate.length === 0) await new Promise((resolve) => setImmediate(resolve));
    await fetch(`${cache.url}/nix-cache-info`);
    assert.deepEqual([begun, atWork], [n, 1]);
    gate.shift()?.();
  }
  assert.deepEqual(
    await Promise.all(all),
    [0, 1, 2].map((line) => bundle.index.narSize(line)),
  );
  assert.equal(most, 1);
});
