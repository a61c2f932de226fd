/** Bundles whose paths no key that Nix trusts has signed, on real targets: root vouches for what the index pins. */
import assert from 'node:assert/strict';
import { copyFile, mkdtemp, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { run } from '../machines/program.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeKeys, makeWorkshop, plainHost } from '../support/fleet.ts';
import { rewritten } from '../support/released.ts';

const shop = await makeWorkshop();
const targets: Target[] = [];
after(() => Promise.all(targets.map((target) => target.close())));

const sshKey = join(shop.folder, 'anna');
const made = await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-C', 'anna', '-f', sshKey]);
assert.equal(made.code, 0, made.stderr);
const anna = `anna:${(await readFile(`${sshKey}.pub`, 'utf8')).trim()}`;

async function freshTarget(trustedKeys: readonly string[], nixKeys: readonly string[]): Promise<Target> {
  const root = join(shop.folder, `target-${targets.length}`);
  const nixConf = `!include ${join(root, 'state/store-key.conf')}\n`;
  const target = await makeTarget(root, { host: 'web', trustedKeys, nixKeys, nixConf });
  targets.push(target);
  return target;
}

async function bundle(name: string, sequence: number, ...signing: readonly (readonly string[])[]) {
  const path = join(shop.folder, `${name}.tar`);
  const args = ['--unsigned', '--sequence', String(sequence)];
  await copyFile(await shop.bundle(name, { hosts: { web: plainHost('web', name) }, args }), path);
  for (const by of signing) {
    const signed = await shop.builder.nixmaker(['sign', ...by, path]);
    assert.equal(signed.code, 0, signed.stderr);
  }
  return path;
}

const byAnna = ['--ssh-key', sshKey, '--name', 'anna'];

async function take(target: Target, path: string) {
  const ran = await target.verb('switch', ['--tarball', path, '--json']);
  return JSON.parse(ran.stdout) as { state: string; code?: string; detail?: string };
}

test('signed by nobody but a person: taken once Nix knows the store key, with the hashes that the index pins', async () => {
  const target = await freshTarget([anna], [shop.keys.publicKey]);
  const path = await bundle('persons', 10, byAnna);
  const before = await target.validPaths();
  const early = await take(target, path);
  assert.deepEqual([early.state, early.code], ['failed', 'nix-key-untrusted'], early.detail);
  assert.deepEqual(await target.validPaths(), before);

  const key = await target.verb('store-key');
  assert.equal(key.code, 0, key.stderr);
  assert.match(key.stdout, /^nixmaker-store-web-[0-9a-f]{8}:[A-Za-z0-9+/]{43}=\n$/);
  assert.doesNotMatch(key.stderr, /restart nix-daemon/, 'nix.conf includes it already');
  assert.equal((await stat(join(target.stateDirectory, 'store.secret'))).mode & 0o777, 0o600);
  assert.equal((await target.verb('store-key')).stdout, key.stdout, 'it is made once');
  await target.restartDaemon();

  const late = await take(target, path);
  assert.equal(late.state, 'committed', `${late.code}: ${late.detail}`);
  const info = await target.run(['nix', 'path-info', '--json', '--sigs', '/run/current-system']);
  assert.match(info.stdout, /nixmaker-store-web-/);
});

/** As a person would who has the manifest only. */
async function signAlone(manifest: Buffer): Promise<Buffer> {
  const folder = await mkdtemp(join(shop.folder, 'alone-'));
  await writeFile(join(folder, 'manifest.json'), manifest);
  const signed = await shop.builder.nixmaker([
    'sign',
    ...byAnna,
    '--manifest',
    join(folder, 'manifest.json'),
  ]);
  assert.equal(signed.code, 0, signed.stderr);
  return readFile(join(folder, 'manifest.sig'));
}

test('contents that are not what the index pins are refused, although root has vouched', async () => {
  const target = await freshTarget([anna], []);
  await target.verb('store-key');
  await target.restartDaemon();
  const path = join(shop.folder, 'false-hashes.tar');
  // Another NAR hash for each path, as a builder gone wrong would write it.
  await rewritten(await bundle('false', 20), path, {
    change: ([name, _hash, ...rest]) => [name, '1'.repeat(52), ...rest],
    sign: signAlone,
  });
  const taken = await take(target, path);
  assert.deepEqual([taken.state, taken.code], ['refused', 'bundle-malformed']);
  assert.match(taken.detail ?? '', /its contents are not what was signed/);
  // Nothing of it: the recipe that stands in for a root has been there from the first run on.
  assert.deepEqual(
    (await target.validPaths()).filter((p) => !p.endsWith('-nixmaker-root.drv')),
    [],
  );
});

test('a key that a keyring has brought, and that nix.conf does not know, is enough as well', async () => {
  const second = await makeKeys(shop.folder, 'second-1');
  const target = await freshTarget([second.publicKey], [shop.keys.publicKey]);
  await target.verb('store-key');
  await target.restartDaemon();
  assert.equal(
    (await take(target, await bundle('rotated', 30, ['--key', second.secretFile]))).state,
    'committed',
  );
  // Where Nix trusts the key that signed the paths, its own check is left to it.
  const direct = await freshTarget([shop.keys.publicKey], [shop.keys.publicKey]);
  await direct.verb('store-key');
  const path = await bundle('direct', 40, ['--key', shop.keys.secretFile], byAnna);
  const ran = await direct.verb('switch', ['--tarball', path, '--verbose']);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stderr, /^imported/m);
  assert.doesNotMatch(ran.stderr, /^vouched/m);
});
