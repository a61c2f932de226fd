/** What a bundle may carry: no system, recipes, the classic pair; and that Nix has the last word. */
import assert from 'node:assert/strict';
import { chmod, copyFile, mkdir, open, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { Targets, take } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);

test('what carries no NixOS system is refused before anything is changed', async () => {
  const target = await targets.fresh();
  const bundle = await shop.bundle('no-system', {
    hosts: {
      web: '{ config.system.build.toplevel = derivation { name = "nixos-system-web-0"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo > $out" ]; }; }',
    },
  });
  const receipt = await take(target, 'switch', bundle);
  assert.deepEqual([receipt.state, receipt.code], ['refused', 'not-a-system']);
  assert.match(receipt.detail ?? '', /^\/nix\/store\/\S+-nixos-system-web-0 has no nixos-version file$/);
  assert.equal(await target.profile(), undefined);
});

const recipes = (name: string) =>
  shop.bundle(name, {
    hosts: { web: plainHost('web', name) },
    args: ['--content', 'derivation'],
    keptFrom: 'nowhere',
  });

test('content derivation: never-build refuses and names what is missing', async () => {
  const target = await targets.fresh();
  const receipt = await take(target, 'switch', await recipes('recipes'));
  assert.deepEqual([receipt.code, receipt.exit], ['missing-input', 77]);
  assert.match(receipt.detail ?? '', /\/nix\/store\/\S+\.drv and \d+ more \(policy: realise never-build\)/);
  assert.equal(await target.profile(), undefined);
});

test('content derivation: substitute refuses what no cache has, and takes what one has', async () => {
  const cache = join(shop.folder, 'cache');
  const bundle = await recipes('substituted');
  const target = await targets.fresh({
    policy: { realise: 'substitute' },
    nixConf: `substituters = file://${cache}\nnarinfo-cache-negative-ttl = 0`,
  });
  assert.equal((await take(target, 'switch', bundle)).code, 'missing-input');
  const [derivation] = (await readFile(join(dirname(bundle), 'meta'), 'utf8')).split('\n');
  const filled = await shop.builder.run([
    'sh',
    '-euc',
    `path=$(nix build --no-link --print-out-paths '${derivation}^out'); nix copy --to 'file://${cache}?secret-key=${shop.keys.secretFile}' "$path"`,
  ]);
  assert.equal(filled.code, 0, filled.stderr);
  const receipt = await take(target, 'switch', bundle);
  assert.equal(receipt.state, 'committed', receipt.detail);
});

test('content derivation: build builds on the target', async () => {
  const target = await targets.fresh({ policy: { realise: 'build' } });
  const receipt = await take(target, 'switch', await recipes('built-here'));
  assert.equal(receipt.state, 'committed', receipt.detail);
  assert.equal(await target.currentSystem(), receipt.toplevel);
});

test('a signed classic pair is taken from the inbox; an unsigned one only by hand and with --allow-unsigned', async () => {
  const target = await targets.fresh({ policy: { realise: 'build' } });
  const signed = await shop.bundle('classic', {
    hosts: { web: plainHost('web', 'classic') },
    args: ['--format', 'classic'],
  });
  await mkdir(join(target.inbox, 'web'));
  for (const name of await readdir(dirname(signed)))
    await copyFile(join(dirname(signed), name), join(target.inbox, 'web', name));
  const ran = await target.verb('agent', ['--once']);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  assert.deepEqual((await readdir(join(target.inbox, 'done/web'))).sort(), [
    'index',
    'manifest.json',
    'manifest.sig',
    'meta',
    'web.tar.gz',
  ]);

  const unsigned = await shop.bundle('unsigned-classic', {
    hosts: { web: plainHost('web', 'unsigned') },
    args: ['--format', 'classic', '--unsigned'],
  });
  assert.equal((await take(target, 'switch', unsigned)).code, 'signature-missing');
  const running = await target.currentSystem();
  const allowed = await take(target, 'switch', unsigned, '--allow-unsigned');
  assert.equal(allowed.state, 'committed', allowed.detail);
  assert.match(allowed.notices?.join() ?? '', /is unsigned/);
  assert.notEqual(await target.currentSystem(), running);

  await rm(join(dirname(unsigned), 'manifest.json'));
  await rm(join(dirname(unsigned), 'manifest.sig'));
  assert.equal((await take(target, 'switch', unsigned)).code, 'signature-missing');
});

test('a classic tarball altered after signing is refused', async () => {
  const target = await targets.fresh({ policy: { realise: 'build' } });
  const signed = await shop.bundle('classic-altered', { args: ['--format', 'classic'] });
  const file = await open(signed, 'r+');
  await file.write(Buffer.from([0xff]), 0, 1, 200);
  await file.close();
  assert.equal((await take(target, 'switch', signed)).code, 'bundle-altered');
  assert.deepEqual(await target.validPaths(), []);
});

test('a classic pair that carries the closure needs no build on the target', async () => {
  const target = await targets.fresh();
  const signed = await shop.bundle('classic-closure', {
    args: ['--format', 'classic', '--content', 'closure'],
  });
  const receipt = await take(target, 'switch', signed);
  assert.equal(receipt.state, 'committed', receipt.detail);
});

test('Nix itself has the last word: a key it does not trust is told apart', async () => {
  const target = await targets.fresh({ nixKeys: ['other-1:CztQ/shckn2hG4Q/Sz8PW53kf2wW1g3RlZX1ZBiVAlc='] });
  const receipt = await take(target, 'switch', await targets.release('one'));
  assert.deepEqual([receipt.state, receipt.code, receipt.exit], ['failed', 'nix-key-untrusted', 78]);
  assert.equal(await target.profile(), undefined);
});

test('a classic pair whose index leads in a circle, or a folder that can’t be entered, keeps no other bundle waiting', async () => {
  const target = await targets.fresh();
  const classic = await shop.bundle('circle', {
    hosts: { web: plainHost('web', 'circle') },
    args: ['--format', 'classic'],
  });
  const pair = join(target.inbox, 'pair');
  await mkdir(pair);
  for (const name of await readdir(dirname(classic)))
    await copyFile(join(dirname(classic), name), join(pair, name));
  await rm(join(pair, 'index'));
  await symlink('index', join(pair, 'index'));
  await symlink('loop', join(target.inbox, 'loop'));
  await mkdir(join(target.inbox, 'closed'));
  await writeFile(join(target.inbox, 'closed/a.tar'), 'x');
  await chmod(join(target.inbox, 'closed'), 0o744);
  const good = await shop.bundle('beside-a-circle', { hosts: { web: plainHost('web', 'beside a circle') } });
  await copyFile(good, join(target.inbox, 'web.tar'));
  await target.verb('agent', ['--once']);
  assert.match((await target.run(['cat', '/run/current-system/etc/motd'])).stdout, /beside a circle/);
});
