/** Valid is not signed: paths that somebody has brought under genuine names, with one key that Nix trusts. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { StorePath } from '../../src/core/store-path.ts';
import { withDaemon } from '../../src/nix/open-daemon.ts';
import { holdPaths } from '../../src/nix/roots.ts';
import { runProgram } from '../../src/process/run.ts';
import { makeBuilder } from '../machines/builder.ts';
import { startByHand } from '../machines/by-hand.ts';
import { main } from '../machines/compiled.ts';
import { nixSystem } from '../machines/program.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost, writeFlake } from '../support/fleet.ts';
import type { Foreign } from '../support/foreign-path.ts';
import { type Released, released } from '../support/released.ts';
import { bring as bringBy, hold, strangersSystem } from '../support/strangers.ts';

const shop = await makeWorkshop();
const targets: Target[] = [];
after(() => Promise.all(targets.map((target) => target.close())));

async function freshTarget(): Promise<Target> {
  const root = join(shop.folder, `target-${targets.length}`);
  const nixConf = `!include ${join(root, 'state/store-key.conf')}\n`;
  const target = await makeTarget(root, { host: 'web', trustedKeys: [shop.keys.publicKey], nixConf });
  targets.push(target);
  return target;
}

const bundle = (name: string, sequence: number) =>
  shop.bundle(`differs-${name}`, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence)],
  });

async function take(target: Target, path: string) {
  const ran = await target.verb('switch', ['--tarball', path, '--json']);
  return JSON.parse(ran.stdout) as { state: string; code?: string; detail?: string; notices?: string[] };
}

/** By the fleet’s own key. */
const bring = (target: Target, foreign: Omit<Foreign, 'secretFile'>) =>
  bringBy(target, { ...foreign, secretFile: shop.keys.secretFile });

const socketOf = (target: Target) => join(target.root, 'nix/var/nix/daemon-socket/socket');

/** Other contents for a path that both releases have, brought and held. */
async function bringShared(target: Target, old: Released, next: Released): Promise<void> {
  const shared = next.paths.find((p) =>
    old.paths.some((o) => o.path === p.path && p.references.length === 0),
  );
  assert.ok(shared !== undefined);
  const other = join(target.root, 'other');
  await writeFile(other, 'other contents');
  await bring(target, { path: shared.path as StorePath, contents: other, references: [] });
  await hold(target, shared.path);
}

const hashOf = async (target: Target, path: string) =>
  (await target.run(['nix-store', '--store', 'daemon', '--query', '--hash', path])).stdout.trim();

test('a stranger’s system under the genuine name is taken out, for nothing needs it, and the genuine one comes', async () => {
  const target = await freshTarget();
  const path = await bundle('garbage', 1);
  const { toplevel, paths } = await released(path);
  await bring(target, {
    path: toplevel as StorePath,
    contents: await strangersSystem(target),
    references: [],
  });
  const receipt = await take(target, path);
  assert.equal(receipt.state, 'committed', receipt.detail);
  assert.match(receipt.notices?.join(' ') ?? '', /1 store paths did not match what was signed/);
  assert.equal(await hashOf(target, toplevel), paths.find((p) => p.path === toplevel)?.narHash);
  await assert.rejects(readFile(join(target.root, 'strange')), /ENOENT/);
});

test('held for a moment longer by the daemon, it is taken out all the same', async () => {
  const target = await freshTarget();
  const path = await bundle('garbage', 1);
  const toplevel = (await released(path)).toplevel as StorePath;
  await bring(target, { path: toplevel, contents: await strangersSystem(target), references: [] });
  const { release: letGo } = await holdPaths({ run: runProgram, daemonSocket: socketOf(target) }, [toplevel]);
  const call = ['switch', '--verbose', '--settings', target.settingsFile, '--tarball', path];
  const job = startByHand(target, [process.execPath, main, ...call]);
  const isOver = job.ended.then(() => true);
  while (!job.saidSoFar().includes('differences-held'))
    if (await Promise.race([isOver, sleep(20, false)])) break;
  letGo();
  const { code, stderr } = await job.ended;
  assert.equal(code, 0, stderr);
});

test('one that something needs is left, the bundle is not taken, and the running system stays', async () => {
  const target = await freshTarget();
  assert.equal((await take(target, await bundle('first', 1))).state, 'committed');
  const running = await target.currentSystem();
  const path = await bundle('rooted', 2);
  const { toplevel } = await released(path);
  await bring(target, {
    path: toplevel as StorePath,
    contents: await strangersSystem(target),
    references: [],
  });
  await hold(target, toplevel);
  const receipt = await take(target, path);
  assert.deepEqual([receipt.state, receipt.code], ['failed', 'store-differs'], receipt.detail);
  assert.ok(receipt.detail?.includes(`${toplevel} (its contents)`), receipt.detail);
  assert.equal(await target.currentSystem(), running);
  await assert.rejects(readFile(join(target.root, 'strange')), /ENOENT/);

  // Known to be sound by a person’s word: then it counts, as what came before does.
  assert.equal((await target.verb('store-key')).code, 0);
  const key = join(target.stateDirectory, 'store.secret');
  const sign = ['nix', 'store', 'sign', '--store', 'local', '--key-file', key, toplevel];
  const signed = await target.run(sign);
  assert.equal(signed.code, 0, signed.stderr);
  const taken = await take(target, path);
  // It is started; but this one writes no boot entry, and so nothing could be started into it.
  assert.deepEqual([taken.state, taken.code], ['rolled-back', 'no-boot-entry'], taken.detail);
  await readFile(join(target.root, 'strange'));
});

test('a path that differs in nothing but what it refers to differs', async () => {
  const target = await freshTarget();
  const path = await bundle('references', 1);
  const { toplevel, paths } = await released(path);
  // The very contents, as another machine has them.
  const sister = await freshTarget();
  assert.equal((await take(sister, path)).state, 'committed');
  const genuine = join(sister.root, toplevel);
  await bring(target, { path: toplevel as StorePath, contents: genuine, references: [] });
  assert.equal(await hashOf(target, toplevel), paths.find((p) => p.path === toplevel)?.narHash);
  await hold(target, toplevel);
  const receipt = await take(target, path);
  assert.deepEqual([receipt.state, receipt.code], ['failed', 'store-differs'], receipt.detail);
  assert.ok(receipt.detail?.includes(`${toplevel} (its references)`), receipt.detail);
});

test('a path that something on the machine uses is compared as well, and stays', async () => {
  const target = await freshTarget();
  const first = await bundle('used', 1);
  const second = await bundle('used-again', 2);
  const [old, next] = [await released(first), await released(second)];
  await bringShared(target, old, next);
  for (const path of [first, second]) {
    const receipt = await take(target, path);
    assert.deepEqual([receipt.state, receipt.code], ['failed', 'store-differs'], receipt.detail);
  }
});

test('a path that a bundle leaves out, for the target is thought to have it, is compared as well', async () => {
  const target = await freshTarget();
  const base = await bundle('left-out', 1);
  const since = await shop.bundle('differs-since', {
    hosts: { web: plainHost('web', 'since') },
    args: ['--sequence', '2', '--since', base],
  });
  const [old, next] = [await released(base), await released(since)];
  await bringShared(target, old, next);
  const receipt = await take(target, since);
  assert.deepEqual([receipt.state, receipt.code], ['failed', 'store-differs'], receipt.detail);
});

test('what root has compared counts when a later manifest has it otherwise: it bears the store key’s signature', async () => {
  const target = await freshTarget();
  const path = await bundle('compared', 1);
  assert.equal((await take(target, path)).state, 'committed');
  const { paths } = await released(path);
  const asked = await target.run([
    'nix',
    'path-info',
    '--store',
    'daemon',
    '--json',
    ...paths.map((p) => p.path),
  ]);
  const infos = Object.values(
    JSON.parse(asked.stdout) as Record<string, { signatures: string[]; ca: string | null }>,
  );
  assert.equal(infos.length, paths.length);
  for (const { signatures, ca } of infos)
    assert.ok(
      ca !== null || signatures.some((s) => s.startsWith('nixmaker-store-web-')),
      signatures.join(' '),
    );
});

test('a machine that was installed by other means signs what runs, once, before it is asked to take anything', async () => {
  const target = await freshTarget();
  const path = await bundle('installed', 1);
  assert.equal((await take(target, path)).state, 'committed');
  const { paths } = await released(path);
  // As it was before anybody compared: no key, no signature of ours, no word that what runs was adopted.
  await target.run([
    'sh',
    '-c',
    'cd "$1" && rm -f store.secret store-key.conf store-adopted',
    'sh',
    target.stateDirectory,
  ]);
  const others = async () => {
    const asked = await target.run([
      'nix',
      'path-info',
      '--store',
      'daemon',
      '--json',
      ...paths.map((p) => p.path),
    ]);
    const infos = Object.values(JSON.parse(asked.stdout) as Record<string, { signatures: string[] }>);
    return infos.map(({ signatures }) => signatures.filter((s) => s.startsWith('nixmaker-store-')).length);
  };
  const before = await others();
  assert.equal((await target.verb('agent', ['--once'])).code, 0);
  assert.deepEqual(
    await others(),
    before.map((count) => count + 1),
  );
  assert.match(await readFile(join(target.stateDirectory, 'store-adopted'), 'utf8'), /nixos-system-web/);
  assert.equal((await target.verb('agent', ['--once'])).code, 0);
  assert.deepEqual(
    await others(),
    before.map((count) => count + 1),
    'once',
  );
});

/** As any user of the daemon may. */
const addAnySignatures = (target: Target, path: string, signatures: readonly string[]) =>
  withDaemon({ daemonSocket: socketOf(target) }, async (connection) => {
    for (const signature of signatures)
      await connection.addSignatures(new Map([[path as StorePath, signature]]));
  });

test('signatures that anybody may add, of any length and number, neither count nor stop anything', async () => {
  const target = await freshTarget();
  const first = await bundle('flooded', 1);
  assert.equal((await take(target, first)).state, 'committed');
  const { paths, toplevel } = await released(first);
  const shared = paths.find((p) => p.path !== toplevel)?.path as StorePath;
  const key = (await readFile(join(target.stateDirectory, 'store-key.conf'), 'utf8')).split(/[ :]/)[2];
  const short = Array.from({ length: 5 }, (_, n) => `${key}:${Buffer.alloc(64, n).toString('base64')}`);
  await addAnySignatures(target, shared, [`${key}:${'A'.repeat(17 * 1024 * 1024)}`, ...short]);
  const receipt = await take(target, await bundle('flooded-next', 2));
  assert.equal(receipt.state, 'committed', receipt.detail);
});

test('a path that comes out otherwise each time stays as it came first, and the next release is taken', async () => {
  const target = await freshTarget();
  const chance = `derivation { name = "chance"; system = "${nixSystem}"; builder = "/bin/sh"; args = [ "-c" "read -r x </proc/sys/kernel/random/uuid; echo $x >$out" ]; }`;
  const system = (motd: string) => `mkSystem { hostName = "web"; motd = "${motd} ${'${'}${chance}}"; }`;
  const build = async (name: string, sequence: number) => {
    const folder = join(shop.folder, name);
    const flake = await writeFlake(join(folder, 'flake'), { hosts: { web: system(name) } });
    // A desk with a store of its own, as after it was installed anew.
    const desk = await makeBuilder(join(folder, 'desk'));
    const { secretFile } = shop.keys;
    const args = [
      '--flake',
      `path:${flake}`,
      '--dir',
      folder,
      '--key',
      secretFile,
      '--sequence',
      String(sequence),
    ];
    const built = await desk.nixmaker(['build', ...args]);
    assert.equal(built.code, 0, built.stderr);
    return join(folder, 'web/web.tar');
  };
  const [first, second] = [await build('chance-1', 1), await build('chance-2', 2)];
  const infoIn = async (path: string) => (await released(path)).paths.find((p) => p.path.endsWith('-chance'));
  const [one, two] = [await infoIn(first), await infoIn(second)];
  assert.ok(one !== undefined && two !== undefined);
  assert.equal(one.path, two.path);
  assert.notEqual(one.narHash, two.narHash);
  const taken = await take(target, first);
  assert.equal(taken.state, 'committed', taken.detail);
  // Anybody may add signatures under the key’s own name, so many that the genuine one is far behind.
  const key = (await readFile(join(target.stateDirectory, 'store-key.conf'), 'utf8')).split(/[ :]/)[2];
  const many = Array.from({ length: 1200 }, (_, n) => {
    const bytes = Buffer.alloc(64);
    bytes.writeUInt32BE(n, 60);
    return `${key}:${bytes.toString('base64')}`;
  });
  await addAnySignatures(target, one.path, many);
  const again = await take(target, second);
  assert.equal(again.state, 'committed', again.detail);
  assert.equal(await hashOf(target, one.path), one.narHash);
});
