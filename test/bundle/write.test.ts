/** Writing a bundle: what is read while it is written has to be what was announced, and the target is whole or untouched. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { checkAllPieces } from '../../src/bundle/contents.ts';
import { signedFileOf, writeBundle } from '../../src/bundle/write.ts';
import { type Piece, pieceName } from '../../src/core/release/contents-file.ts';
import {
  makeTestRelease,
  openTestBundle,
  signedFileOfBytes,
  type TestRelease,
  temporaryFolder,
} from '../support/bundles.ts';

const mebibyte = 1024 * 1024;

/** @param spoil what each piece’s file holds instead */
async function written(t: TestContext, made: TestRelease, spoil = (_: string, bytes: Buffer) => bytes) {
  const folder = await temporaryFolder(t);
  for (const [i, [name, bytes]] of [...made.pieces].entries())
    await writeFile(join(folder, `piece-${i}`), Buffer.concat([Buffer.alloc(i, 9), spoil(name, bytes)]));
  const names = [...made.pieces.keys()];
  const sourceOf = (piece: Piece) => {
    const i = names.indexOf(pieceName(piece));
    return { path: join(folder, `piece-${i}`), ...(i === 0 ? {} : { position: i }) };
  };
  const target = join(folder, 'web.tar');
  await writeFile(target, 'before');
  const { manifestBytes, signatureBytes, release } = made;
  const work = writeBundle(target, { manifestBytes, signatureBytes, release, sourceOf });
  return { folder, target, work };
}

test('pieces of more than one read, each in a file of its own, are written as they are', async (t) => {
  const made = makeTestRelease({ fileSizes: [3 * mebibyte + 17, mebibyte] });
  const { target, work } = await written(t, made);
  await work;
  const bundle = await openTestBundle(target);
  t.after(() => bundle.file.close());
  await checkAllPieces(bundle);
  for (const [name, bytes] of made.pieces)
    assert.ok((await bundle.file.read(bundle.positions.get(name) ?? 0, bytes.length)).equals(bytes));
  assert.equal((await readFile(target)).length % 512, 0);
});

for (const [what, spoil] of [
  ['changed', (bytes: Buffer) => Buffer.from(bytes).fill(1, 0, 1)],
  ['shorter', (bytes: Buffer) => bytes.subarray(0, -1)],
  ['empty', () => Buffer.alloc(0)],
] as const)
  test(`a source that is ${what} by now is told, and the target is as it was`, async (t) => {
    const made = makeTestRelease({ fileSizes: [3 * mebibyte, 100] });
    const [first] = made.pieces.keys();
    const { folder, target, work } = await written(t, made, (name, bytes) =>
      name === first ? spoil(bytes) : bytes,
    );
    await assert.rejects(work, {
      code: 'io-error',
      detail: `${join(folder, 'piece-0')} changed while the bundle was being written`,
    });
    assert.equal(await readFile(target, 'utf8'), 'before');
    assert.deepEqual(
      (await readdir(folder)).filter((n) => !n.startsWith('piece-')),
      ['web.tar'],
    );
  });

test('what is larger than a piece may stand behind it', async (t) => {
  const made = makeTestRelease();
  const { work } = await written(t, made, (_, bytes) => Buffer.concat([bytes, randomBytes(2000)]));
  await work;
});

test('a file’s size and digest are those of all of it', async (t) => {
  const path = join(await temporaryFolder(t), 'file');
  for (const size of [0, 1, 2 * mebibyte + 5]) {
    const bytes = randomBytes(size);
    await writeFile(path, bytes);
    assert.deepEqual(await signedFileOf(path), signedFileOfBytes(bytes));
  }
});
