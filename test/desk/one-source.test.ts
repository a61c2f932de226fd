/** What Nix evaluates is one source for the whole run, and holds neither keys nor what a build writes. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRelease } from '../../src/desk/keys/read-release.ts';
import { nixSystem } from '../machines/program.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';

const { builder, folder, keys, ok } = await makeDesk();

/** A host that carries the flake it was made from. */
const selfish = (name: string, more = '') =>
  `mkSystem { hostName = "${name}"; motd = "from \${self}${more}"; }`;
const at = (cwd: string, ...args: string[]) => builder.nixmaker(args, { cwd });
const git = (repository: string, ...args: string[]) =>
  execFileSync('git', ['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args]);
const inStore = async (text: string) => (await builder.run(['grep', '-rlF', text, '/nix/store'])).stdout;

test('a key inside a folder that is a flake: nothing is evaluated, and it gets into no store', async () => {
  const place = await writeFlake(join(folder, 'plain'), { hosts: { web: selfish('web') } });
  await at(place, 'keygen', 'inside');
  const secret = (await readFile(join(place, 'inside.secret'), 'utf8')).trim();
  for (const flake of ['.', `path:${place}`, `path:.`, join(place, '../plain')]) {
    const ran = await at(place, 'build', '-f', flake, '-d', '../plain-out', '--key', 'inside.secret');
    assert.equal(ran.code, 64, `${flake}: ${ran.stdout}${ran.stderr}`);
    assert.match(ran.stderr, /inside\.secret.*\n.*\(secret-in-flake\)/s);
  }
  assert.equal(await inStore(secret), '');
  const put = await at(place, 'put', folder, '-f', '.', '-d', '../plain-out', '--key', 'inside.secret');
  assert.match(put.stderr, /secret-in-flake/);
});

test('bundles are not written into a folder that is a flake', async () => {
  const place = await writeFlake(join(folder, 'into'), { hosts: { web: selfish('web') } });
  for (const out of ['out', '.', join(place, 'deep/er')]) {
    const ran = await at(place, 'build', '-f', '.', '-d', out, '--key', keys.secretFile);
    assert.equal(ran.code, 64, ran.stdout + ran.stderr);
    assert.match(ran.stderr, /^ {2}.*\/into\b.*\(output-in-flake\)/ms);
  }
  assert.ok(!existsSync(join(place, 'out')));
  const below = join(place, 'out');
  const beside = await at(
    place,
    'build',
    '-f',
    '.',
    '-d',
    `${below}-beside/../../beside`,
    '--key',
    keys.secretFile,
  );
  assert.equal(beside.code, 0, beside.stderr);
});

test('any secret key in what is evaluated is refused, tracked by git or not ours, whatever signs', async () => {
  const repository = await writeFlake(join(folder, 'tracked'), { hosts: { web: selfish('web') } });
  await mkdir(join(repository, 'keys'));
  await cp(keys.secretFile, join(repository, 'keys/old.txt'));
  git(repository, 'init', '--quiet');
  git(repository, 'add', 'flake.nix', 'system.nix', '*.sh');
  git(repository, 'commit', '--quiet', '--message', 'machines');
  const out = join(folder, 'tracked-out');
  const untracked = await at(repository, 'build', '-f', '.', '-d', 'out', '--key', 'keys/old.txt');
  assert.equal(untracked.code, 0, untracked.stderr);
  git(repository, 'add', 'keys');
  const ran = await at(repository, 'build', '-f', '.', '-d', out);
  assert.equal(ran.code, 64, ran.stdout + ran.stderr);
  assert.match(ran.stderr, /keys\/old\.txt/);
  assert.ok(!existsSync(out), 'nothing was begun');
  await writeFile(join(repository, 'keys/old.txt'), `# created\nAGE-SECRET-KEY-1${'Q'.repeat(58)}\n`);
  assert.match((await at(repository, 'build', '-f', '.', '-d', out)).stderr, /secret-in-flake/);
  await writeFile(join(repository, 'keys/old.txt'), `${keys.publicKey}\n`);
  assert.equal((await at(repository, 'build', '-f', '.', '-d', out)).code, 0);
});

/** Building `first` changes the flake: what `second` is made of is what was there at the beginning. */
async function changingFlake(place: string): Promise<string> {
  const change = `sed -i s/before/after/ ${place}/flake.nix`;
  const first = `{ config.system.build.toplevel = derivation { name = "nixos-system-first-0"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "${change}; mkdir $out" ]; }; }`;
  return writeFlake(place, { hosts: { first, second: plainHost('second', 'before') } });
}

test('a folder that changes while it is built: every host is made of what was there at first', async () => {
  const place = await changingFlake(join(folder, 'changing'));
  const expected = await writeFlake(join(folder, 'unchanged'), {
    hosts: { second: plainHost('second', 'before') },
  });
  await ok('build', '-f', `path:${place}`, '-d', join(folder, 'changing-out'));
  assert.match(await readFile(join(place, 'flake.nix'), 'utf8'), /"after"/, 'it was changed');
  await ok('build', '-f', `path:${expected}`, '-d', join(folder, 'unchanged-out'));
  const toplevel = async (out: string) =>
    (await readRelease(join(folder, out, 'second/second.tar'))).manifest.toplevel;
  assert.equal(await toplevel('changing-out'), await toplevel('unchanged-out'));
});

test('a working tree that git calls dirty can’t be held: where it changes, the hosts after that fail', async () => {
  const place = join(folder, 'dirty');
  // To know what the second is, Nix has to build something, and that changes the flake.
  const change = `sed -i s/before/after/ ${place}/flake.nix; echo changed >$out`;
  const built = `derivation { name = "change"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "${change}" ]; }`;
  const hosts = {
    first: plainHost('first', 'before'),
    second: `builtins.seq (builtins.readFile (${built})) (${plainHost('second', 'before')})`,
  };
  await writeFlake(place, { hosts });
  git(place, 'init', '--quiet');
  git(place, 'add', '.');
  const out = join(folder, 'dirty-out');
  const ran = await at(place, 'build', '-f', '.', '-d', out, '--eval-jobs', '1', '--json');
  assert.equal(ran.code, 1, ran.stdout + ran.stderr);
  const [first, second] = (JSON.parse(ran.stdout) as { hosts: Record<string, string>[] }).hosts;
  assert.equal(first?.status, 'built');
  assert.equal(second?.code, 'source-changed');
  assert.match(second?.detail ?? '', /^\. was \/nix\/store\/\S+, and is now \/nix\/store\/\S+$/);
  git(place, 'add', '.');
  git(place, 'commit', '--quiet', '--message', 'machines');
  const clean = await at(place, 'build', '-f', '.', '-d', out);
  assert.equal(clean.code, 0, clean.stderr);
});
