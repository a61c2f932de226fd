/** A path that the running system itself uses and that is not what was signed: on a machine that was installed by other means. */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { catalogue } from '../../src/core/catalogue.ts';
import type { StorePath } from '../../src/core/store-path.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { released } from '../support/released.ts';
import { bring } from '../support/strangers.ts';

const shop = await makeWorkshop();
const targets: Target[] = [];
after(() => Promise.all(targets.map((target) => target.close())));

const bundle = (name: string, sequence: number) =>
  shop.bundle(`used-${name}`, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence)],
  });
const first = await bundle('first', 1);
const second = await bundle('second', 2);
const old = await released(first);

async function must(target: Target, script: string, ...args: string[]): Promise<void> {
  const ran = await target.run(['sh', '-euc', script, 'sh', ...args]);
  assert.equal(ran.code, 0, ran.stderr);
}

/** Runs the first release, as somebody else has installed it, with one path in it that a stranger had brought before. */
async function installedOtherwise(name: string): Promise<{ target: Target; shared: string }> {
  const root = join(shop.folder, name);
  const nixConf = `!include ${join(root, 'state/store-key.conf')}\n`;
  const target = await makeTarget(root, { host: 'web', trustedKeys: [shop.keys.publicKey], nixConf });
  targets.push(target);
  const next = await released(second);
  const shared = next.paths.find(
    (p) => p.references.length === 0 && old.paths.some((o) => o.path === p.path),
  );
  assert.ok(shared !== undefined);
  const other = join(root, 'other');
  await writeFile(other, 'other contents');
  const { secretFile } = shop.keys;
  await bring(target, { path: shared.path as StorePath, contents: other, references: [], secretFile });
  const cache = join(root, 'cache');
  await mkdir(cache);
  // A whole bundle is a binary cache; what is valid already is not copied.
  await must(
    target,
    `tar -xf "$1" -C "$2"; nix copy --from "file://$2" --to daemon "$3"
    mkdir -p /nix/var/nix/profiles; ln -s "$3" /nix/var/nix/profiles/system-1-link
    ln -s system-1-link /nix/var/nix/profiles/system; ln -sfn "$3" /run/current-system`,
    first,
    cache,
    old.toplevel,
  );
  assert.equal(await target.currentSystem(), old.toplevel);
  return { target, shared: shared.path };
}

async function take(target: Target) {
  const ran = await target.verb('switch', ['--tarball', second, '--json']);
  return JSON.parse(ran.stdout) as { state: string; code?: string; detail?: string };
}

test('what the running system uses is never taken away: refused, with the way out, which then works', async () => {
  const { target, shared } = await installedOtherwise('refused');
  // Adopted before: what has become of the store since has nobody’s word.
  await mkdir(target.stateDirectory, { recursive: true });
  await writeFile(join(target.stateDirectory, 'store-adopted'), `${old.toplevel}\n`);
  const before = await target.validPaths();
  const receipt = await take(target);
  assert.deepEqual([receipt.state, receipt.code], ['failed', 'store-differs'], receipt.detail);
  assert.ok(receipt.detail?.includes(`${shared} (its contents)`), receipt.detail);
  assert.equal(await target.currentSystem(), old.toplevel);
  assert.equal(await readFile(join(target.root, shared), 'utf8'), 'other contents');
  assert.deepEqual(
    await target.validPaths(),
    before,
    'nothing of what runs was deleted, nothing was brought',
  );

  // As the code’s next step says.
  const { next } = catalogue['store-differs'];
  assert.match(next, /nixmaker store-key.*nix store sign --key-file/);
  assert.equal((await target.verb('store-key')).code, 0);
  const key = join(target.stateDirectory, 'store.secret');
  await must(target, 'nix store sign --store local --key-file "$1" "$2"', key, shared);
  const again = await take(target);
  assert.equal(again.state, 'committed', again.detail);
});

test('where nothing was ever adopted, what runs is, and its next release is taken', async () => {
  const { target, shared } = await installedOtherwise('adopted');
  const receipt = await take(target);
  assert.equal(receipt.state, 'committed', receipt.detail);
  assert.equal(await readFile(join(target.root, shared), 'utf8'), 'other contents');
});
