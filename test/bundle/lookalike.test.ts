/** What the first bytes of a file give away. */
import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { kindOf, lookalikeOf } from '../../src/bundle/lookalike.ts';
import { encodeHeader } from '../../src/bundle/ustar.ts';
import { temporaryFolder } from '../support/bundles.ts';

const bundle = Buffer.concat([encodeHeader('manifest.json', 700), Buffer.alloc(2048, 'x')]);

/** The first entry of an archive (APPNOTE.TXT, 4.3.7). */
function zipOf(name: string): Buffer {
  const header = Buffer.alloc(30);
  header.writeUInt32LE(0x04034b50, 0);
  header.writeUInt16LE(name.length, 26);
  return Buffer.concat([header, Buffer.from(name), Buffer.alloc(64)]);
}

test('a bundle is known by its first header, plain or packed once more', async () => {
  assert.equal(await kindOf(bundle), 'bundle');
  assert.equal(await kindOf(bundle.subarray(0, 512)), 'bundle');
  assert.equal(await kindOf(gzipSync(bundle)), 'gzip');
});

test('of a gzip only its beginning is needed, and no more than is looked at comes out', async () => {
  const long = gzipSync(Buffer.concat([bundle, Buffer.alloc(4 * 1024 * 1024, 'y')]), { level: 0 });
  assert.equal(await kindOf(long.subarray(0, 1024)), 'gzip');
  const bomb = gzipSync(Buffer.concat([bundle, Buffer.alloc(64 * 1024 * 1024)]));
  assert.equal(await kindOf(bomb.subarray(0, 64 * 1024)), undefined);
});

test('a zip is known by the name of its first entry', async () => {
  for (const name of ['first.tar', 'A.TAR', 'x/first.tar.age', '2.keyring', 'nixmaker/', 'a/manifest.json'])
    assert.equal(await kindOf(zipOf(name)), 'zip', name);
  for (const name of ['first.tar.txt', 'holiday.jpg', 'mymanifest.json'])
    assert.equal(await kindOf(zipOf(name)), undefined, name);
});

test('anything else is nothing, and nothing is thrown for it', async () => {
  const others = ['', 'x', 'x'.repeat(1000), '\u001f', 'PK'];
  for (const text of others) assert.equal(await kindOf(Buffer.from(text, 'latin1')), undefined, text);
  assert.equal(await kindOf(Buffer.from([0x1f, 0x8b, 8, 0, 1, 2, 3])), undefined, 'a damaged gzip');
  assert.equal(await kindOf(gzipSync('a letter')), undefined);
  assert.equal(await kindOf(bundle.subarray(0, 511)), undefined);
});

test('a folder looks like nothing, and what cannot be read is told', async (t) => {
  const folder = await temporaryFolder(t);
  assert.equal(await lookalikeOf(folder), undefined);
  await writeFile(join(folder, 'x'), bundle);
  assert.equal(await lookalikeOf(join(folder, 'x')), 'bundle');
  await assert.rejects(lookalikeOf(join(folder, 'x', 'below')), { code: 'io-error' });
});
