/** An updated machine fills a stick for its sisters, from what it has verified itself; what came encrypted does not leave in the clear. */
import assert from 'node:assert/strict';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const targets: Target[] = [];
after(async () => {
  for (const target of targets) await target.close();
});
/** Nix trusts the fleet’s key only where it is asked to. */
async function machine(name: string, nixKeys = [shop.keys.publicKey]): Promise<Target> {
  const target = await makeTarget(join(shop.folder, name), {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
    nixKeys,
    settings: {
      activationDirectory: join(shop.folder, name, 'state'),
    },
    policy: { media: { folders: [stick] } },
  });
  targets.push(target);
  return target;
}
const stick = join(shop.folder, 'stick');
await mkdir(stick);
const bundle = (name: string, sequence: number, args: readonly string[] = []) =>
  shop.bundle(name, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence - 1), ...args],
  });
const give = async (target: Target, path: string, name: string) => {
  await copyFile(path, join(target.inbox, name));
  const ran = await target.verb('agent', ['--once']);
  assert.equal(ran.code, 0, ran.stderr);
};
const motd = async (target: Target) =>
  (await target.run(['cat', '/run/current-system/etc/motd'])).stdout.trim();
const pass = (target: Target, ...args: string[]) =>
  target.nixmaker(['put', stick, '--self', '--plain-folder', '--settings', target.settingsFile, ...args]);

const first = await machine('first');

test('a machine that has taken nothing has nothing to pass on', async () => {
  const ran = await pass(first);
  assert.equal(ran.code, 1);
  assert.match(ran.stderr, /has committed no release yet.*\(nothing-to-pass-on\)/s);
});

test('what one machine runs, its sister takes from the stick that it filled, with the desk’s own signatures', async () => {
  await give(first, await bundle('one', 1), 'web.tar');
  const ran = await pass(first);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /^web +1 .*written and read back/m);
  const sister = await machine('sister');
  const taken = await sister.verb('agent', ['--once']);
  assert.equal(taken.code, 0, taken.stderr);
  assert.equal(await motd(sister), 'one');
  assert.equal((await pass(sister)).code, 0, 'and passes it on itself');
});

test('a path that is not what was signed is not passed on', async () => {
  const file = (await first.run(['readlink', '-f', '/run/current-system/etc/motd'])).stdout.trim();
  const write = (text: string) =>
    first.run(['sh', '-c', 'chmod u+w "$1"; printf %s "$2" >"$1"', 'sh', file, text]);
  const good = (await first.run(['cat', file])).stdout;
  await write('altered');
  const ran = await pass(first);
  await write(good);
  await first.run(['chmod', '0444', file]);
  assert.equal(ran.code, 1, ran.stdout);
  assert.match(ran.stderr, /not what was signed.*\(store-differs\)/s);
});

test('what came encrypted leaves only when a person says so', async () => {
  const recipient = (await first.verb('age-key')).stdout.trim();
  const plain = join(shop.folder, 'secret.tar');
  await copyFile(await bundle('two', 2), plain);
  const encrypted = await shop.builder.nixmaker(['encrypt', '--to', recipient, plain]);
  assert.equal(encrypted.code, 0, encrypted.stderr);
  await give(first, `${plain}.age`, 'web.tar.age');
  assert.equal(await motd(first), 'two');
  const ran = await pass(first);
  assert.equal(ran.code, 77);
  assert.match(ran.stderr, /sequence 2 came encrypted.*\(came-encrypted\)/s);
  const allowed = await pass(first, '--in-the-clear');
  assert.equal(allowed.code, 0, allowed.stderr);
});

test('--self takes no bundles, and none of what it does not do', async () => {
  for (const args of [['web.tar'], ['--size', '700M'], ['--split', stick], ['--clear']]) {
    const ran = await pass(first, ...args);
    assert.equal(ran.code, 64, args.join(' '));
    assert.match(ran.stderr, /name nothing but the medium/);
  }
});
