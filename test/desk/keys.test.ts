/** Keys and signatures at the desk. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
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
  assert.match(again.stderr, /fleet-1\.secret\n.*\(key-exists\)/s);
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

test('a manifest is signed alone, and what others have signed so comes to the bundle', async () => {
  const flake = await writeFlake(join(folder, 'apart'));
  const bundle = join(folder, 'apart-out/web/web.tar');
  const second = await makeKeys('apart-2');
  const third = await makeKeys('apart-3');
  await ok('build', '-f', `path:${flake}`, '-d', join(folder, 'apart-out'), '--key', keys.secretFile);
  const places = await Promise.all(
    [second, third].map(async (signer, i) => {
      const place = join(folder, `apart-${i}`);
      await mkdir(place);
      execFileSync('tar', ['-xf', bundle, '-C', place, 'manifest.json']);
      const signed = await nixmaker(
        'sign',
        '--manifest',
        join(place, 'manifest.json'),
        '--key',
        signer.secretFile,
      );
      assert.match(
        signed.stderr,
        /^Host: +web\n.*Sequence: +1\n.*Toplevel: +\/nix\/store\/\S+\n.*Digest: +[0-9a-f]{64}\n.*index was not checked.*signed by apart-\d\n$/s,
      );
      return join(place, 'manifest.sig');
    }),
  );
  const before = await readFile(bundle);
  const added = await nixmaker('sign', bundle, ...places.flatMap((file) => ['--signatures', file]));
  assert.equal(added.code, 0, added.stderr);
  assert.match(added.stderr, /also signed by apart-2, apart-3; not verified/);
  const all = [keys, second, third].flatMap(({ publicKey }) => ['--key', publicKey]);
  assert.match(
    await ok('verify', ...all, bundle),
    /signed by (?=.*fleet-1)(?=.*apart-2).*apart-3|signed by (?=.*apart-3).*fleet-1/,
  );
  assert.ok(!before.equals(await readFile(bundle)));
  const again = await nixmaker('sign', bundle, '--signatures', places[0] ?? '');
  assert.match(again.stderr, /already signed by all of them/);

  const twice = await nixmaker(
    'sign',
    '--manifest',
    join(folder, 'apart-0/manifest.json'),
    '--key',
    second.secretFile,
  );
  assert.equal(twice.code, 64);
  // In a folder that still has the last release’s: the own line that does not fit is replaced.
  const manifest = join(folder, 'apart-0/manifest.json');
  const text = await readFile(manifest, 'utf8');
  await writeFile(manifest, text.replace('"sequence":1,', '"sequence":2,'));
  const next = await nixmaker('sign', '--manifest', manifest, '--key', second.secretFile);
  assert.equal(next.code, 0, next.stderr);
  assert.match(next.stderr, /Beside it: +apart-2; not verified\n/);
  assert.match(await readFile(join(folder, 'apart-0/manifest.sig'), 'utf8'), /^apart-2:\S+\n$/);
  await writeFile(join(folder, 'none.sig'), 'not a signature\n');
  const none = await nixmaker('sign', bundle, '--signatures', join(folder, 'none.sig'));
  assert.deepEqual([none.code, /none\.sig: line 1/.test(none.stderr)], [65, true], none.stderr);
  for (const args of [
    [],
    [bundle, bundle, '--signatures', 'x'],
    ['--signatures', 'x'],
    [bundle, '--signatures', 'x', '--key', 'y'],
  ])
    assert.equal((await nixmaker('sign', ...args)).code, 64, args.join(' '));
});

test('a later signer’s Nix key signs the paths as well, a person’s does not, and the manifest stays', async () => {
  const flake = await writeFlake(join(folder, 'paths'));
  const second = await makeKeys('paths-2');
  const bundle = join(folder, 'paths-out/web/web.tar');
  await ok('build', '-f', `path:${flake}`, '-d', join(folder, 'paths-out'), '--key', keys.secretFile);
  const inspect = async () =>
    JSON.parse(await ok('inspect', '--json', bundle)) as {
      manifestDigest: string;
      contents: { nixSigners: string[] };
    };
  const before = await inspect();
  assert.deepEqual(before.contents.nixSigners, ['fleet-1']);
  await ok('sign', '--key', second.secretFile, bundle);
  const after = await inspect();
  assert.deepEqual(after.contents.nixSigners, ['fleet-1', 'paths-2']);
  assert.equal(after.manifestDigest, before.manifestDigest);
});

test('a classic pair is signed and verified with its index', async () => {
  const flake = await writeFlake(join(folder, 'pair'));
  const out = join(folder, 'pair-out');
  const second = await makeKeys('pair-2');
  await ok('build', '-f', `path:${flake}`, '-d', out, '--format', 'classic', '--key', keys.secretFile);
  const bundle = join(out, 'web/web.tar.gz');
  await ok('sign', '--key', second.secretFile, bundle);
  const check = () => nixmaker('verify', '--key', keys.publicKey, '--key', second.publicKey, bundle);
  assert.match((await check()).stdout, /signed by fleet-1, pair-2/);
  assert.match(await ok('inspect', '--paths', bundle), /-nixos-system-web-\S+\.drv\n$/);
  const index = join(out, 'web/index');
  const bytes = await readFile(index);
  await writeFile(index, bytes.subarray(1));
  assert.match((await check()).stdout, /^bundle-altered: the index/);
  await writeFile(index, bytes);
  await writeFile(bundle, Buffer.concat([await readFile(bundle), Buffer.alloc(1)]));
  assert.match((await check()).stdout, /^bundle-altered: the tarball/);
});
