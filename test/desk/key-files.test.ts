/** Key files that are half there. */
import assert from 'node:assert/strict';
import { readdir, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { makeKeyFiles, readSigner } from '../../src/desk/keys/key-files.ts';
import { main } from '../machines/compiled.ts';
import { run } from '../machines/program.ts';
import { temporaryFolder } from '../support/bundles.ts';

const made = async (t: TestContext) => {
  const folder = await temporaryFolder(t);
  return { folder, files: await makeKeyFiles('fleet-1', folder) };
};

test('cut off between its two files, keygen makes the second from the first when it is asked again', async (t) => {
  const { folder, files } = await made(t);
  const secret = await readFile(files.secretFile, 'utf8');
  await unlink(files.publicFile);
  assert.deepEqual(await makeKeyFiles('fleet-1', folder), files);
  assert.equal(await readFile(files.publicFile, 'utf8'), `${files.publicKey}\n`);
  assert.equal(await readFile(files.secretFile, 'utf8'), secret);
  assert.equal((await stat(files.secretFile)).mode & 0o777, 0o600);
});

test('a whole pair, and a secret file that is no key, are left as they are', async (t) => {
  const { folder, files } = await made(t);
  await assert.rejects(makeKeyFiles('fleet-1', folder), { code: 'key-exists' });
  await unlink(files.publicFile);
  await writeFile(files.secretFile, 'somebody’s');
  await assert.rejects(makeKeyFiles('fleet-1', folder), { code: 'key-exists' });
  assert.equal(await readFile(files.secretFile, 'utf8'), 'somebody’s');
});

test('an empty secret file, as a full disk left it, is no key and keeps none from being made', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'fleet-1.secret'), '');
  const { publicKey, secretFile } = await makeKeyFiles('fleet-1', folder);
  assert.match(publicKey, /^fleet-1:/);
  assert.match(await readFile(secretFile, 'utf8'), /^fleet-1:/);
});

test('where the second half can’t be written there is no first one', async (t) => {
  const folder = await temporaryFolder(t);
  await writeFile(join(folder, 'fleet-1.public'), 'somebody’s');
  await assert.rejects(makeKeyFiles('fleet-1', folder), { code: 'key-exists', detail: /fleet-1\.public$/ });
  assert.deepEqual(await readdir(folder), ['fleet-1.public']);
});

test('a key with a byte-order mark or a line before it is read, and a name that can’t be is named', async (t) => {
  const { files } = await made(t);
  const secret = await readFile(files.secretFile, 'utf8');
  for (const text of [`\uFEFF${secret}`, `\r\n${secret}\r\n`]) {
    await writeFile(files.secretFile, text);
    assert.equal((await readSigner(files.secretFile)).name, 'fleet-1');
  }
  await writeFile(files.secretFile, secret.replace('fleet-1', 'me@desk'));
  await assert.rejects(readSigner(files.secretFile), {
    code: 'key-malformed',
    detail: /^the name of the secret key, “me@desk”, has characters other than letters, digits/,
  });
});

test('a secret on a file system that keeps no modes is told of: whoever mounts it can read it', async (t) => {
  const folder = await temporaryFolder(t);
  // As stat(2) has it on FAT.
  const asOnFat = `data:text/javascript,${encodeURIComponent(
    "import fs from 'node:fs/promises'; const real = fs.stat; fs.stat = async (...all) => { const found = await real(...all); found.mode |= 0o777; return found; };",
  )}`;
  const keygen = (name: string, ...options: string[]) =>
    run(process.execPath, [...options, main, 'keygen', name, '--out', folder]);
  const exposed = await keygen('fleet-1', '--import', asOnFat);
  assert.equal(exposed.code, 0, exposed.stderr);
  assert.match(
    exposed.stderr,
    /^warning: others can read \S+fleet-1\.secret, because its file system stores no modes/m,
  );
  assert.doesNotMatch((await keygen('fleet-2')).stderr, /warning/);
});
