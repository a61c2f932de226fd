/** `put` of a release that the medium has already, from another bundle of it: one entry serves hosts that have different things. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { zstdCompressSync } from 'node:zlib';
import { readHeadFiles } from '../../src/bundle/head-files.ts';
import { cacheOf, hostsOf, readPoolRelease } from '../../src/bundle/pool.ts';
import { limits } from '../../src/core/limits.ts';
import { pieceName } from '../../src/core/release/contents-file.ts';
import { PathSigner } from '../../src/desk/build/path-signer.ts';
import { withoutVerifying } from '../../src/desk/keys/read-release.ts';
import { mergePieces } from '../../src/desk/pool/merge-contents.ts';
import { putBundles } from '../../src/desk/pool/put.ts';
import { generateKeyPair, parseSecretKey } from '../../src/signing/nix-key.ts';
import { parseSignatureFile, signManifest } from '../../src/signing/signature-file.ts';
import {
  deltaPiece,
  type MadePiece,
  temporaryFolder,
  wholePiece,
  writeTestBundle,
} from '../support/bundles.ts';
import { pathOf } from '../support/manifests.ts';
import { type OtherContents, writeOtherContents } from '../support/other-contents.ts';
import { digits } from '../support/releases.ts';

const entryOf = (medium: string) => join(hostsOf(medium), 'web', '7');

async function releaseOn(medium: string) {
  const head = await readHeadFiles(entryOf(medium));
  assert.ok(head);
  const release = await readPoolRelease(entryOf(medium), withoutVerifying(head));
  return { release, signers: parseSignatureFile(head.signatureBytes).map((s) => s.keyName) };
}

/** What each line can be had from. */
const waysOf = (pieces: ReadonlyMap<number, readonly { readonly kind: string }[]>) =>
  Object.fromEntries([...pieces].map(([line, all]) => [line, all.map((p) => p.kind)]));

async function desk(t: TestContext) {
  const folder = await temporaryFolder(t);
  const medium = join(folder, 'stick');
  await mkdir(medium);
  const whole = join(folder, 'whole.tar');
  const made = await writeTestBundle(whole);
  const put = (...bundles: string[]) => putBundles({ medium, bundles, keep: 1 });
  const other = async (name: string, contents: OtherContents) => {
    const path = join(folder, name);
    await writeOtherContents(path, made, contents);
    return path;
  };
  return { medium, whole, made, put, other };
}

/** A difference to a base of that number. What it gives is not looked into by `put`. */
const difference = (line: number, base: number): MadePiece =>
  deltaPiece(line, randomBytes(60), {
    base: pathOf('f', `base-${base}`) as never,
    baseNarHash: digits(base, 52),
  });

test('differences come beside what is whole, the smaller piece first, and each once', async (t) => {
  const { medium, whole, put, other } = await desk(t);
  await put(whole);
  assert.deepEqual(waysOf((await releaseOn(medium)).release.pieces), {
    0: ['whole'],
    1: ['whole'],
    2: ['whole'],
  });
  const one = await other('one.tar', { pieces: [difference(2, 1)] });
  const result = await put(one);
  assert.deepEqual(
    result.hosts.map((h) => [h.status, h.files]),
    [['written', 1]],
  );
  const two = await other('two.tar', { pieces: [difference(0, 2), difference(2, 2)] });
  await put(two, one);
  assert.deepEqual(waysOf((await releaseOn(medium)).release.pieces), {
    0: ['delta', 'whole'],
    1: ['whole'],
    2: ['delta', 'delta', 'whole'],
  });
  const again = await put(whole, one, two);
  assert.deepEqual(
    again.hosts.map((h) => h.status),
    ['there', 'there', 'there'],
  );
  assert.deepEqual([again.collected, again.notices], [0, []]);
});

test('whole after differences, the release is whole', async (t) => {
  const { medium, whole, put, other } = await desk(t);
  await put(await other('one.tar', { pieces: [difference(2, 1)] }));
  assert.deepEqual(waysOf((await releaseOn(medium)).release.pieces), { 2: ['delta'] });
  await put(whole);
  assert.deepEqual(waysOf((await releaseOn(medium)).release.pieces), {
    0: ['whole'],
    1: ['whole'],
    2: ['delta', 'whole'],
  });
});

test('signatures of both stay, of people and for Nix', async (t) => {
  const { medium, whole, made, put, other } = await desk(t);
  await put(whole);
  const second = parseSecretKey(generateKeyPair('second-1').secret);
  const pieces = made.nars.map((nar, line) => wholePiece(line, zstdCompressSync(nar)));
  const bundle = await other('second.tar', {
    pieces,
    signatureBytes: Buffer.from(signManifest(made.manifestBytes, second)),
    nixSignatures: new PathSigner(second).block(made.release.index),
  });
  await put(bundle);
  const { release, signers } = await releaseOn(medium);
  assert.deepEqual(signers.toSorted(), ['second-1', 'test-1']);
  assert.deepEqual(release.nixSignatures.keyNames.toSorted(), ['second-1', 'test-1']);
  await put(whole);
  assert.deepEqual((await releaseOn(medium)).signers.toSorted(), ['second-1', 'test-1']);
});

test('a piece that only the medium has and that is damaged is named no more, and goes', async (t) => {
  const { medium, whole, put, other } = await desk(t);
  const delta = difference(2, 1);
  await put(await other('one.tar', { pieces: [delta] }));
  const path = join(cacheOf(medium), pieceName(delta.piece));
  await writeFile(path, Buffer.alloc(delta.bytes.length));
  const result = await put(whole);
  assert.match(result.notices.join(), /delta\/\S+ is damaged on the medium, but nothing uses it/);
  assert.equal(result.collected, 1);
  await assert.rejects(readFile(path), /ENOENT/);
  assert.deepEqual(waysOf((await releaseOn(medium)).release.pieces), {
    0: ['whole'],
    1: ['whole'],
    2: ['whole'],
  });
});

for (const [what, spoil] of [
  ['damaged', (path: string) => writeFile(path, 'x')],
  ['belongs to another manifest', (path: string) => writeFile(path, `"${'0'.repeat(64)}"\n`)],
  ['gone', (path: string) => rm(path)],
] as const)
  test(`contents that are ${what} are written again`, async (t) => {
    const { medium, whole, put } = await desk(t);
    await put(whole);
    const path = join(entryOf(medium), 'contents');
    const before = await readFile(path);
    await spoil(path);
    await put(whole);
    assert.deepEqual(await readFile(path), before);
  });

test('an index and signatures that are damaged on the medium are written again', async (t) => {
  const { medium, whole, made, put } = await desk(t);
  await put(whole);
  const { index } = made.release.manifest;
  for (const [i, bytes] of [made.release.index.bytes, made.release.nixSignatures.bytes].entries()) {
    const { indexName, nixSignaturesName } = await import('../../src/bundle/pool.ts');
    const path = join(cacheOf(medium), i === 0 ? indexName({ index }) : nixSignaturesName({ index }));
    await writeFile(path, Buffer.alloc(bytes.length));
    const healed = await put(whole);
    assert.equal(healed.hosts[0]?.status, 'written');
    assert.ok((await readFile(path)).equals(bytes));
  }
});

test('of too many ways the smallest stay, and one that needs no base', () => {
  const whole = { kind: 'whole', line: 0, size: 1000, digest: digits(999, 52) } as const;
  const deltas = Array.from({ length: 20 }, (_, i) => ({ ...difference(0, i).piece, size: 100 - i }));
  const merged = mergePieces(new Map([[0, [whole, ...deltas.slice(0, 10)]]]), new Map([[0, deltas]])).get(0);
  assert.equal(merged?.length, limits.piecesOfALine);
  assert.deepEqual(
    merged?.map((p) => p.size),
    [...Array.from({ length: 15 }, (_, i) => 81 + i), 1000],
  );
});
