/** Paths that Nix’s database calls valid and whose files are gone, as a power cut leaves what was being deleted. */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { exchangingMv } from '../machines/exchanging.ts';
import { nixSystem } from '../machines/program.ts';
import type { Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { released } from '../support/released.ts';
import { Targets, take } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);
const [one, two] = [await targets.release('one'), await targets.release('two', '--sequence', '2')];
const { toplevel, paths } = await released(two);
const base = paths.find(({ path }) => path.includes('-sample-base-'))?.path as string;
const own = await exchangingMv(join(shop.folder, 'bin'));

async function must(target: Target, script: string, ...args: string[]): Promise<string> {
  const ran = await target.run(['sh', '-euc', script, 'sh', ...args]);
  assert.equal(ran.code, 0, ran.stderr);
  return ran.stdout.trim();
}

/** As an earlier installation has left it: valid, and nothing needs it. */
async function bringGarbage(target: Target): Promise<void> {
  const cache = join(target.root, 'cache');
  await mkdir(cache);
  await must(
    target,
    'tar -xf "$1" -C "$2"; nix copy --from "file://$2" --to daemon "$3"',
    two,
    cache,
    toplevel,
  );
}

const isValid = async (target: Target, path: string): Promise<boolean> =>
  (await target.run(['nix-store', '--store', 'daemon', '--check-validity', path])).code === 0;

async function requireWhole(target: Target): Promise<void> {
  const verified = await target.run(['nix-store', '--verify', '--check-contents']);
  assert.doesNotMatch(verified.stderr, /modified|disappeared|error/, verified.stderr);
}

/** What a deletion has done, wholly or until it was cut off. */
const deletions = {
  gone: 'chmod -R u+w "$1"; rm -r "$1"',
  torn: 'chmod u+w "$1"; rm "$1/nixos-version"',
};

const loseRecipe = `
  recipe=$(nix-instantiate --store daemon --expr 'derivation { name = "r"; system = "${nixSystem}"; builder = "/bin/sh"; args = [ "-c" "echo >$out" ]; }')
  nix-store --store daemon --realise "$recipe" >/dev/null
  rm -f "$recipe"; echo "$recipe"`;

for (const [how, deletion] of Object.entries(deletions))
  test(`a system of the release that is valid and ${how} comes again with its bundle`, async () => {
    const { target } = await targets.running();
    await bringGarbage(target);
    await must(target, deletion, toplevel);
    assert.ok(await isValid(target, toplevel), 'the database does not know');
    const receipt = await take(target, 'switch', two);
    assert.equal(receipt.state, 'committed', receipt.detail);
    assert.match(
      receipt.notices?.join(' ') ?? '',
      /^1 store paths lacked files, .*; the bundle brings them\./,
    );
    await requireWhole(target);
  });

test('after a start root takes what nothing needs out of the database; what is in use is kept, told and repaired', async () => {
  // As root is on a machine.
  const { target } = await targets.running({ nixConf: 'trusted-users = *\n' });
  await bringGarbage(target);
  await must(target, `${deletions.torn}; set -- "$2"; ${deletions.gone}`, toplevel, base);
  // Its output is whole, and keeps it, as far as Nix is concerned.
  const recipe = await must(target, loseRecipe);
  const looked = await target.verb('activate');
  assert.equal(looked.code, 0, looked.stderr);
  const line = looked.stderr.split('\n').find((text) => text.includes('lost-paths-dropped'));
  const told = JSON.parse(line ?? '{}') as { count: number; paths: string[]; kept: string[] };
  assert.deepEqual([told.count, told.kept], [2, [base]], looked.stderr);
  assert.deepEqual(told.paths.sort(), [toplevel, recipe].sort());
  assert.deepEqual(await Promise.all([toplevel, recipe, base].map((path) => isValid(target, path))), [
    ...[false, false, true],
  ]);
  assert.match((await target.verb('doctor')).stdout, /1 store paths are damaged: sample-base/);
  // Once after a start.
  assert.doesNotMatch((await target.verb('activate')).stderr, /lost-paths/);

  const refused = await take(target, 'switch', two);
  assert.deepEqual([refused.state, refused.code], ['failed', 'store-corrupt'], refused.detail);
  assert.equal(refused.detail, `valid for Nix, but not whole: ${base} (its files are gone)`);
  const env = own === undefined ? {} : { env: { PATH: `${own}:${(target.env as { PATH: string }).PATH}` } };
  const repaired = await target.verb('repair', [one], env);
  assert.equal(repaired.code, 0, repaired.stderr);
  assert.equal((await take(target, 'switch', two)).state, 'committed');
  await requireWhole(target);
});
