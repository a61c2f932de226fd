/** `verify` and `inspect` on bundles that are signed and not sound, and on classic pairs. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { NixmakerError, type ReasonCode } from '../../src/core/errors.ts';
import { inspectBundleFile, inspectContents, verifyBundleFile } from '../../src/desk/keys/verify.ts';
import {
  type BundlePlan,
  deltaPiece,
  pair,
  temporaryFolder,
  wholePiece,
  writeTestBundle,
} from '../support/bundles.ts';
import { pathOf } from '../support/manifests.ts';
import { writeOtherContents } from '../support/other-contents.ts';
import { digits } from '../support/releases.ts';

const verify = (path: string) => verifyBundleFile(path, { keys: [pair.public], host: 'web' });

async function refused(work: Promise<unknown>, code: ReasonCode, detail: RegExp): Promise<void> {
  await assert.rejects(work, (error: unknown) => {
    assert.ok(error instanceof NixmakerError, String(error));
    assert.equal(error.code, code, error.detail);
    assert.match(error.detail, detail);
    return true;
  });
}

async function bundle(t: TestContext, plan: BundlePlan = {}) {
  const path = join(await temporaryFolder(t), 'web.tar');
  return { path, made: await writeTestBundle(path, plan) };
}

test('a sound bundle is; large NARs as well, and the same release with less in it', async (t) => {
  const { path, made } = await bundle(t, { fileSizes: [17 * 1024 * 1024, 0] });
  assert.deepEqual((await verify(path)).signedBy, ['test-1']);
  const base = { base: pathOf('f', 'base') as never, baseNarHash: digits(1, 52) };
  await writeOtherContents(path, made, { pieces: [deltaPiece(0, randomBytes(90), base)] });
  assert.deepEqual((await verify(path)).signedBy, ['test-1']);
  assert.deepEqual(await inspectContents(path), {
    whole: 0,
    differences: 1,
    leftOut: 2,
    bytes: 90,
    nixSigners: ['test-1'],
  });
  assert.equal((await inspectBundleFile(path)).bytes, (await readFile(path)).length);
});

for (const size of [3000, 17 * 1024 * 1024])
  test(`a piece that gives another NAR of the same ${size} bytes is refused`, async (t) => {
    const { path } = await bundle(t, {
      fileSizes: [size, 700],
      pieces: (nars) =>
        nars.map((nar, line) => {
          const other = Buffer.from(nar);
          other[200] = (other[200] ?? 0) ^ 1;
          return wholePiece(line, zstdCompressSync(line === 0 ? other : nar));
        }),
    });
    await refused(verify(path), 'bundle-malformed', /^cannot use nar\/\S+: it does not unpack to the NAR/);
  });

test('a piece that is not compressed is refused, and one that is damaged is told from it', async (t) => {
  const { path } = await bundle(t, { pieces: (nars) => nars.map((nar, line) => wholePiece(line, nar)) });
  await refused(verify(path), 'bundle-malformed', /cannot use/);
  const sound = await bundle(t, { fileSizes: [100_000, 700] });
  const bytes = await readFile(sound.path);
  const at = bytes.indexOf(sound.made.pieces.values().next().value as Buffer);
  for (const offset of [0, 50, 50_000]) {
    const damaged = Buffer.from(bytes);
    damaged[at + offset] = (damaged[at + offset] ?? 0) ^ 1;
    await writeFile(sound.path, damaged);
    await refused(verify(sound.path), 'bundle-altered', /^nar\/\S+ is damaged$/);
  }
});

test('a difference that is damaged is refused, though nobody can say here what it gives', async (t) => {
  const { path, made } = await bundle(t);
  const delta = randomBytes(90);
  const base = { base: pathOf('f', 'base') as never, baseNarHash: digits(1, 52) };
  await writeOtherContents(path, made, { pieces: [deltaPiece(0, delta, base)] });
  const bytes = await readFile(path);
  const at = bytes.indexOf(delta);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  await writeFile(path, bytes);
  await refused(verify(path), 'bundle-altered', /^delta\/\S+ is damaged$/);
});

for (const field of ['files', 'blocks'] as const)
  test(`an index that was signed with other ${field} than the NARs have is refused`, async (t) => {
    const { path } = await bundle(t, {
      indexed: (paths) => paths.map((info, i) => (i === 0 ? { ...info, [field]: info[field] + 1 } : info)),
    });
    await refused(verify(path), 'manifest-malformed', /-library has 1 files of 1 blocks; its index says/);
  });
