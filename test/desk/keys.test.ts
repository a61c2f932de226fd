/** Keys and signatures at the desk. */
import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeDesk } from '../support/desk.ts';
import { writeFlake } from '../support/fleet.ts';

const { builder, folder, keys, nixmaker, ok, makeKeys } = await makeDesk();

test('keys made by Nix work, and Nix understands keys made by keygen', async () => {
  const made = await builder.run([
    'sh',
    '-euc',
    'nix key generate-secret --key-name from-nix-1 > "$1" && nix key convert-secret-to-public < "$1"',
    'sh',
    join(folder, 'from-nix.secret'),
  ]);
  const publicKey = made.stdout.trim();
  const flake = await writeFlake(join(folder, 'nix-key'));
  await ok(
    'build',
    '-f',
    `path:${flake}`,
    '-d',
    join(folder, 'nix-key-out'),
    '--key',
    join(folder, 'from-nix.secret'),
  );
  assert.match(
    await ok('verify', '--key', publicKey, join(folder, 'nix-key-out/web/web.tar')),
    /^ok: web 1, signed by from-nix-1/,
  );
  const converted = await builder.run([
    'sh',
    '-c',
    'nix key convert-secret-to-public < "$1"',
    'sh',
    keys.secretFile,
  ]);
  assert.equal(converted.stdout.trim(), keys.publicKey);
});

test('keygen keeps the secret to its owner and never writes over a key', async () => {
  assert.equal((await stat(keys.secretFile)).mode & 0o777, 0o600);
  const before = await readFile(keys.secretFile, 'utf8');
  const again = await nixmaker('keygen', 'fleet-1', '--out', folder);
  assert.equal(again.code, 64);
  assert.match(again.stderr, /key-exists/);
  assert.equal(await readFile(keys.secretFile, 'utf8'), before);
});

test('sign makes an unsigned bundle the same as one signed when it was built; a second key signs beside it', async () => {
  const flake = await writeFlake(join(folder, 'signing'));
  const second = await makeKeys('second-1');
  const signed = join(folder, 'signed-out/web/web.tar');
  const later = join(folder, 'later-out/web/web.tar');
  await ok('build', '-f', `path:${flake}`, '-d', join(folder, 'signed-out'), '--key', keys.secretFile);
  await ok('build', '-f', `path:${flake}`, '-d', join(folder, 'later-out'));
  const unsigned = await nixmaker('verify', '--key', keys.publicKey, later);
  assert.equal(unsigned.code, 65);
  assert.match(unsigned.stdout, /^signature-missing: /);
  await ok('sign', '--key', keys.secretFile, later);
  assert.ok((await readFile(later)).equals(await readFile(signed)));
  await ok('sign', '--key', second.secretFile, later);
  assert.match(
    await ok('verify', '--key', keys.publicKey, '--key', second.publicKey, later),
    /signed by fleet-1, second-1/,
  );
  const twice = await nixmaker('sign', '--key', second.secretFile, later);
  assert.equal(twice.code, 64);
});

test('verify and inspect say what they find, and verify holds a bundle to a host', async () => {
  const flake = await writeFlake(join(folder, 'looked-at'));
  await ok(
    'build',
    '-f',
    `path:${flake}`,
    '-d',
    join(folder, 'looked-at-out'),
    '--key',
    keys.secretFile,
    '--notes',
    'mind the gap',
  );
  const bundle = join(folder, 'looked-at-out/web/web.tar');
  assert.match(await ok('inspect', bundle), /Notes: +mind the gap/);
  const { verified, manifest } = JSON.parse(await ok('inspect', '--json', bundle)) as {
    verified: boolean;
    manifest: { host: string };
  };
  assert.deepEqual([verified, manifest.host], [false, 'web']);
  await ok('verify', '--host', 'web', '--key', `${folder}/fleet-1.public`, bundle);
  const other = await nixmaker('verify', '--host', 'mail', '--key', keys.publicKey, bundle);
  assert.deepEqual([other.code, other.stdout.split(':')[0]], [65, 'wrong-host']);
  const bad = await nixmaker('verify', '--key', 'not-a-key', bundle);
  assert.equal(bad.code, 78);
});
