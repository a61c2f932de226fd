/** Compressing from the store folder: what is not there as Nix knows it stays missing, for every host that asks. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { CacheFolder } from '../../src/desk/build/cache-folder.ts';
import { largeFirst, StoreCompressor } from '../../src/desk/build/compress.ts';
import { NarCounts } from '../../src/desk/build/nar-counts.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { digits, storePathOf } from '../support/releases.ts';

for (const { what, narSize } of [
  { what: 'a path', narSize: 100 },
  { what: 'a large path, which comes as a stream,', narSize: 17 * 1024 * 1024 },
])
  test(`${what} that is not in the store folder is missing the second time as well`, async (t) => {
    const folder = await temporaryFolder(t);
    const cache = new CacheFolder(join(folder, 'cache'));
    const compressor = new StoreCompressor(join(folder, 'compressed'), {
      cache,
      counts: new NarCounts(cache),
    });
    t.after(() => compressor.close());
    const info = { path: storePathOf(1), narHash: `sha256:${digits(1, 52)}`, narSize, references: [] };
    for (const host of ['one', 'two'])
      assert.equal(await compressor.addAll([info], () => undefined), false, host);
    assert.throws(() => cache.closureOf(info.path), /ENOENT/);
  });

test('large NARs are begun first, and the small ones stay in order', () => {
  const mebibyte = 1024 * 1024;
  const sizes = [3, 1, 9 * mebibyte, 2, 4 * mebibyte, 4 * mebibyte - 1, 20 * mebibyte];
  const paths = sizes.map((narSize, n) => ({
    path: storePathOf(n),
    narHash: digits(n, 52),
    narSize,
    references: [],
  }));
  assert.deepEqual(
    largeFirst(paths).map(({ narSize }) => narSize),
    [20 * mebibyte, 9 * mebibyte, 4 * mebibyte, 3, 1, 2, 4 * mebibyte - 1],
  );
});
