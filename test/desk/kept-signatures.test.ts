/** Signatures of store paths that are kept for the next build: the same as those made anew, never another’s, and bounded. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { PathInfo } from '../../src/core/release/path-info.ts';
import { encodeKeptList, keptList } from '../../src/desk/build/kept-list.ts';
import { KeptSignatures } from '../../src/desk/build/kept-signatures.ts';
import { NarCache } from '../../src/desk/build/nar-cache.ts';
import { generateKeyPair, parseSecretKey } from '../../src/signing/nix-key.ts';
import { signPath } from '../../src/signing/path-signature.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { digits, storePathOf } from '../support/releases.ts';

const [key, other] = ['fleet-1', 'fleet-2'].map((name) => parseSecretKey(generateKeyPair(name).secret));
const info = (n: number, narSize = n): PathInfo => ({
  path: storePathOf(n),
  narHash: `sha256:${digits(n, 52)}`,
  narSize,
  references: [],
});

/** What one build gets for these, and how many it had to make. */
async function signed(folder: string, infos: readonly PathInfo[], by = key) {
  assert.ok(by !== undefined);
  const kept = await KeptSignatures.open(folder, by.publicKey);
  let made = 0;
  const all = infos.map((each) =>
    kept.of(each, (message) => {
      made += 1;
      return by.sign(message);
    }),
  );
  assert.deepEqual(
    all.map((signature) => `${by.name}:${signature}`),
    infos.map((each) => signPath(each, by)),
  );
  await kept.close();
  return made;
}

test('only what is new is signed: another path, size or key, whatever was used in between', async (t) => {
  const folder = await temporaryFolder(t);
  assert.equal(await signed(folder, [info(1), info(2)]), 2);
  assert.equal(await signed(folder, [info(1), info(3)]), 1);
  assert.equal(await signed(folder, [info(1), info(2), info(3)]), 0);
  assert.equal(await signed(folder, [info(1, 7)]), 1);
  assert.equal(await signed(folder, [info(1)], other), 1);
});

test('a file that is damaged is none, and is made anew', async (t) => {
  const folder = await temporaryFolder(t);
  await signed(folder, [info(1), info(2)]);
  const [name = ''] = await readdir(folder);
  const text = await readFile(join(folder, name), 'latin1');
  const turned = String.fromCharCode(text.charCodeAt(200) ^ 1);
  for (const damaged of [`${text.slice(0, 200)}${turned}${text.slice(201)}`, text.slice(0, -1), '', '\0']) {
    await writeFile(join(folder, name), damaged, 'latin1');
    assert.equal(await signed(folder, [info(1), info(2)]), 2);
  }
});

test('keys that have not signed for long are forgotten', async (t) => {
  const folder = await temporaryFolder(t);
  for (let n = 0; n < 10; n++) {
    for (const name of await readdir(folder)) await utimes(join(folder, name), 0, 0);
    await signed(folder, [info(1)], parseSecretKey(generateKeyPair(`key-${n}`).secret));
  }
  assert.equal((await readdir(folder)).length, 8);
});

/** A cache with one run of an earlier build, and where its signatures are. */
async function keeping(t: TestContext) {
  const folder = await temporaryFolder(t);
  await signed(folder, [info(1)]);
  const [name = ''] = await readdir(folder);
  const earlier = join(folder, '0'.repeat(32));
  await mkdir(earlier);
  await writeFile(join(earlier, keptList), encodeKeptList([]));
  const said: string[] = [];
  const cache = await NarCache.open(folder, (text) => said.push(text), 1);
  assert.ok(cache !== undefined && key !== undefined);
  return { folder, name, said, cache, key };
}

test('what can’t be read in their place is told, and the build does without', async (t) => {
  const { folder, name, said, cache, key } = await keeping(t);
  await rm(join(folder, name));
  await mkdir(join(folder, name));
  assert.equal(await cache.signaturesOf(key.publicKey), undefined);
  assert.match(said.join('\n'), /^note: only part of this is kept for the next build: .*EISDIR/);
  await cache.close();
});

test('where they can’t be written, what is too much of the rest goes all the same', async (t) => {
  const { folder, name, said, cache, key } = await keeping(t);
  await mkdir(join(folder, `.${name}.part`));
  const kept = await cache.signaturesOf(key.publicKey);
  kept?.of(info(2), (message) => key.sign(message));
  await cache.close();
  assert.match(said.join('\n'), /^note: only part of this is kept for the next build: /);
  assert.deepEqual((await readdir(folder)).sort(), [`.${name}.part`, name]);
});
