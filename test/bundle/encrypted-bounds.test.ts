/** Sizes of what is encrypted, headers of every length that we write, and chunks read in any order. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  decrypt,
  encryptedSizeAtMost,
  encryptFile,
  generateIdentity,
  recipientOf,
} from '../../src/bundle/encrypted.ts';
import { openBundleFile } from '../../src/bundle/file.ts';
import { limits } from '../../src/core/limits.ts';
import { temporaryFolder } from '../support/bundles.ts';

const chunk = 64 * 1024;
const identity = await generateIdentity();
const recipient = await recipientOf(identity);

test('an encrypted file has at most its header, a nonce, its text and a tag for each chunk and one more', () => {
  const over = (plain: number) => encryptedSizeAtMost(plain) - limits.ageHeaderBytes - plain;
  assert.deepEqual([0, 1, chunk, chunk + 1, 3 * chunk].map(over), [32, 48, 48, 64, 80]);
});

test('it is never larger than that', async (t) => {
  const folder = await temporaryFolder(t);
  for (const size of [0, 1, chunk, chunk + 1]) {
    await writeFile(join(folder, 'plain'), Buffer.alloc(size));
    await encryptFile(join(folder, 'plain'), join(folder, 'out'), [recipient]);
    assert.ok((await stat(join(folder, 'out'))).size <= encryptedSizeAtMost(size));
  }
});

test('a header longer than is read at first is read whole: as many recipients as we write', async (t) => {
  const folder = await temporaryFolder(t);
  const plain = randomBytes(chunk + 5);
  await writeFile(join(folder, 'plain'), plain);
  const others = await Promise.all(
    Array.from({ length: limits.ageRecipients - 1 }, async () => recipientOf(await generateIdentity())),
  );
  await encryptFile(join(folder, 'plain'), join(folder, 'out'), [...others, recipient]);
  assert.ok((await readFile(join(folder, 'out'))).indexOf('\n--- ') > 4096);
  const file = await openBundleFile(join(folder, 'out'));
  t.after(() => file.close());
  const opened = await decrypt(file, async () => [identity]);
  assert.deepEqual([opened.name, await opened.size()], [file.name, plain.length]);
  // Backwards, so that no chunk is the one that was read last.
  for (const at of [chunk, 0, chunk - 1, chunk + 4, 5])
    assert.deepEqual(await opened.read(at, 1), plain.subarray(at, at + 1));
  assert.equal(await opened.readInto(Buffer.alloc(10), plain.length), 0);
  assert.equal(await opened.readInto(Buffer.alloc(10), plain.length + 100), 0);
  await assert.rejects(opened.read(plain.length - 1, 2), { code: 'bundle-truncated' });
});

test('a thousand recipients are refused with the number that is tried, and nothing is written', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'plain'), 'x');
  const all = Array.from({ length: 1000 }, () => recipient);
  await assert.rejects(encryptFile(join(folder, 'plain'), join(folder, 'out'), all), {
    code: 'usage',
    detail: 'there are 1000 recipients; a target tries at most 64',
  });
  assert.deepEqual(await readdir(folder), ['plain']);
});

test('what is no identity is told without a word of it', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'plain'), 'x');
  await encryptFile(join(folder, 'plain'), join(folder, 'out'), [recipient]);
  const file = await openBundleFile(join(folder, 'out'));
  t.after(() => file.close());
  const secret = 'AGE-SECRET-KEY-NONSENSE';
  for (const work of [() => decrypt(file, async () => [identity, secret]), () => recipientOf(secret)])
    await assert.rejects(work, (error: Error & { code: string }) => {
      assert.equal(error.code, 'key-malformed');
      assert.ok(!error.message.includes(secret));
      return true;
    });
});

test('what is read from front to back is decrypted once', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'plain'), randomBytes(2 * chunk));
  await encryptFile(join(folder, 'plain'), join(folder, 'out'), [recipient]);
  const file = await openBundleFile(join(folder, 'out'));
  t.after(() => file.close());
  let reads = 0;
  const readInto: typeof file.readInto = (buffer, position) => {
    reads += 1;
    return file.readInto(buffer, position);
  };
  const opened = await decrypt({ ...file, readInto }, async () => [identity]);
  reads = 0;
  for (let at = 0; at < 2 * chunk; at += 1000) await opened.readInto(Buffer.alloc(500), at);
  assert.equal(reads, 2);
});
