/** A NAR that is larger than a file on the medium may be, and the next release’s in its place: changed, smaller, and whole again. */
import assert from 'node:assert/strict';
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkAllPieces } from '../../src/bundle/contents.ts';
import { readHeadFiles } from '../../src/bundle/head-files.ts';
import { cacheOf, hostsOf, openPool, readPoolRelease } from '../../src/bundle/pool.ts';
import { withoutVerifying } from '../../src/desk/keys/read-release.ts';
import { putBundles } from '../../src/desk/pool/put.ts';
import { stickDesk } from '../support/stick.ts';

const largest = 40_000;

async function requireWhole(medium: string, sequence: number): Promise<void> {
  const folder = join(hostsOf(medium), 'web', String(sequence));
  const head = await readHeadFiles(folder);
  assert.ok(head);
  const pool = openPool(folder, await readPoolRelease(folder, withoutVerifying(head)));
  await checkAllPieces(pool).finally(() => pool.close());
}

const files = async (medium: string) =>
  (await readdir(join(cacheOf(medium), 'nar'), { recursive: true })).filter((name) => /\.zst/.test(name));
const parts = async (medium: string) => (await files(medium)).filter((name) => /\.\d{3}$/.test(name));

test('a NAR in parts gives way to a changed one, a smaller one, and one that needs no parts', async (t) => {
  const { medium, bundle } = await stickDesk(t);
  let sequence = 0;
  for (const [bytes, inParts] of [
    [150_000, 4],
    [150_000, 4],
    [90_000, 3],
    [3_000, 0],
    [150_000, 4],
  ] as const) {
    sequence += 1;
    const web = await bundle('web', sequence, { fileSizes: [bytes, 700] });
    const put = () => putBundles({ medium, bundles: [web], keep: 1, largest });
    assert.equal((await put()).hosts[0]?.status, 'written');
    assert.equal((await parts(medium)).length, inParts, `${bytes} bytes`);
    assert.equal(
      (await files(medium)).length,
      2 + (inParts === 0 ? 1 : inParts),
      'nothing of the one before is left',
    );
    await requireWhole(medium, sequence);
    assert.equal((await put()).hosts[0]?.status, 'there');
  }
});

test('a part that is damaged, cut off or gone is written again with the others', async (t) => {
  const { medium, bundle } = await stickDesk(t);
  const web = await bundle('web', 1, { fileSizes: [150_000, 700] });
  const put = () => putBundles({ medium, bundles: [web], keep: 1, largest });
  await put();
  for (const spoil of [Buffer.alloc(largest), Buffer.alloc(largest - 1), Buffer.alloc(0)]) {
    const [, second = ''] = (await parts(medium)).sort();
    await writeFile(join(cacheOf(medium), 'nar', second), spoil);
    assert.equal((await put()).hosts[0]?.status, 'written');
    await requireWhole(medium, 1);
  }
});
