/** Releases of real size, as recipes and as outputs: built, verified, and taken by an agent. Twenty thousand paths with NIXMAKER_CASES=all. */
import assert from 'node:assert/strict';
import { copyFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { StorePath } from '../../src/core/store-path.ts';
import { refuseTooLarge } from '../../src/desk/build/refuse-early.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { allCases } from '../support/cases.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { writeRecipes } from '../support/recipes.ts';
import { releaseOf } from '../support/released.ts';
import { digits, storePathOf } from '../support/releases.ts';

const count = allCases ? 20_000 : 1000;
const shop = await makeWorkshop();
const flake = join(shop.folder, 'many');
const targets: Target[] = [];
before(() => writeRecipes(flake, count));
after(() => Promise.all(targets.map((target) => target.close())));

async function build(content: 'closure' | 'derivation'): Promise<string> {
  const out = join(shop.folder, content);
  const args = [
    '--flake',
    `path:${flake}`,
    '--dir',
    out,
    '--key',
    shop.keys.secretFile,
    '--content',
    content,
  ];
  const ran = await shop.builder.nixmaker(['build', ...args]);
  assert.equal(ran.code, 0, ran.stderr);
  return join(out, 'host/host.tar');
}

for (const content of ['derivation', 'closure'] as const)
  test(`${count} paths as ${content === 'closure' ? 'outputs' : 'recipes'}: built, verified, taken by an agent`, async (t) => {
    const started = performance.now();
    const lap = (what: string) =>
      t.diagnostic(`${what} after ${Math.round((performance.now() - started) / 100) / 10} s`);
    const bundle = await build(content);
    lap('built');
    const { manifest, index } = await releaseOf(bundle);
    assert.ok(index.length > count && manifest.totals.paths === index.length);
    assert.ok(manifest.index.size / index.length < 260, 'bytes a path');
    const verified = await shop.builder.nixmaker(['verify', '--key', shop.keys.publicKey, bundle]);
    assert.equal(verified.code, 0, verified.stderr);
    lap('verified');
    const target = await makeTarget(join(shop.folder, `target-${content}`), {
      host: 'host',
      trustedKeys: [shop.keys.publicKey],
      policy: { realise: 'build', limits: { paths: 100_000 } },
    });
    targets.push(target);
    await copyFile(bundle, join(target.inbox, 'host.tar'));
    const taken = await target.verb('agent', ['--once']);
    assert.equal(taken.code, 0, taken.stdout.slice(-2000) + taken.stderr);
    lap('taken');
    assert.equal(await target.currentSystem(), manifest.toplevel);
    assert.ok((await target.validPaths()).length >= index.length);
    t.diagnostic(`${(await stat(bundle)).size} bytes`);
  });

test('what no bundle can hold is refused from what Nix knows of it, before anything is compressed', () => {
  const root = storePathOf(0, 'root');
  const leaves = Array.from({ length: 200_000 }, (_, n) => storePathOf(n + 1));
  const info = (path: StorePath, references: StorePath[]) => ({
    path,
    narHash: `sha256:${digits(1, 52)}`,
    narSize: 100,
    references,
  });
  const closure = [info(root, leaves), ...leaves.map((path) => info(path, []))];
  const refusal = { code: 'bundle-too-large', detail: /200001 paths; the limit is 200000/ };
  assert.throws(() => refuseTooLarge(closure, root), refusal);
});
