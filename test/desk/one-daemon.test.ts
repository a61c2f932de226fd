/** One daemon answers for a whole build: what is started beside it, and what becomes of the build when somebody stops it. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { main } from '../machines/compiled.ts';
import { nixSystem, run } from '../machines/program.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';

const { builder, folder, ok } = await makeDesk();

/** A derivation that says when it is being built, and does not end by itself. */
const endless = (name: string, begun: string) =>
  `derivation { name = "${name}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "echo >${begun}; sleep 600" ]; }`;

interface Stopping {
  /** Shell’s words: what to wait for, and the signal to send then; `$p` is the command. */
  readonly once: string;
  readonly send: string;
}

async function stopped({ once, send }: Stopping, ...args: string[]) {
  const script = `trap "" INT; env --default-signal=INT "$@" & p=$!
    until ${once}; do kill -0 $p; sleep 0.05; done
    ${send}; wait $p`;
  const call = ['setsid', '--wait', 'sh', '-euc', script, 'sh', process.execPath, main];
  const ran = await builder.run([...call, ...args]);
  assert.doesNotMatch(ran.stdout + ran.stderr, /FAILED|Fix the flake/);
  return ran;
}

test('of a system that is valid already, Nix is started for the flake and its evaluation alone', async () => {
  const flake = await writeFlake(join(folder, 'valid'));
  const build = ['build', '-f', `path:${flake}`, '-d', join(folder, 'valid-out')];
  await ok(...build);
  const [bin, log] = [join(folder, 'bin'), join(folder, 'log')];
  await mkdir(bin);
  for (const program of ['nix', 'nix-store', 'nix-daemon']) {
    const real = (await run('sh', ['-c', `command -v ${program}`])).stdout.trim();
    const begun = program === 'nix' ? 'nix $3 $4' : program;
    const script = `echo "${begun}" >>${log}\n${real} "$@"\ncode=$?\necho "ended: ${begun}" >>${log}\nexit $code\n`;
    await writeFile(join(bin, program), `#!/bin/sh\n${script}`);
    await chmod(join(bin, program), 0o755);
  }
  const ran = await builder.nixmaker(build, { env: { PATH: `${bin}:${process.env.PATH}` } });
  assert.equal(ran.code, 0, ran.stderr);
  const said = (await readFile(log, 'utf8')).trim().split('\n');
  const begun = said.filter((line) => !line.startsWith('ended: '));
  assert.deepEqual(begun.sort(), ['nix eval --json', 'nix flake metadata', 'nix-daemon']);
  // A new store is not opened by two at once.
  assert.deepEqual(said.slice(0, 2), ['nix flake metadata', 'ended: nix flake metadata']);
});

test('a build that is told to end begins no further host, even one that is valid already', async () => {
  const begun = join(folder, 'build-begun');
  const hosts = {
    a: `{ config.system.build.toplevel = ${endless('nixos-system-a-0', begun)}; }`,
    b: plainHost('b'),
    c: plainHost('c'),
  };
  const flake = ['-f', `path:${await writeFlake(join(folder, 'three'), { hosts })}`];
  await ok('build', ...flake, '--host', 'b', '--host', 'c', '-d', join(folder, 'three-valid'));
  const out = join(folder, 'three-out');
  const evaluated = `find ${out} -name recipe-c | grep -q .`;
  // As a service manager may: to this process alone.
  const stopping = { once: `[ -e ${begun} ] && ${evaluated}`, send: 'kill -TERM $p' };
  // One after the other, so that the first is built first.
  const ran = await stopped(stopping, 'build', ...flake, '-d', out, '--eval-jobs', '1');
  assert.equal(ran.code, 130, ran.stderr);
  assert.match(ran.stderr, /interrupted\.\n +0 of 3 bundles had been written\n/);
  assert.deepEqual(await readdir(out), []);
});

test('Ctrl-C while the only host is evaluated is no fault of the flake', async () => {
  const begun = join(folder, 'evaluation-begun');
  const web = `builtins.seq (builtins.readFile (${endless('imported', begun)})) (${plainHost('web')})`;
  const flake = await writeFlake(join(folder, 'slow'), { hosts: { web } });
  const out = join(folder, 'slow-out');
  const stopping = { once: `[ -e ${begun} ]`, send: 'kill -INT 0' };
  const ran = await stopped(stopping, 'build', '-f', `path:${flake}`, '-d', out);
  assert.equal(ran.code, 130, ran.stderr);
  assert.match(ran.stderr, /interrupted\.\n +no bundle had been written\n.*\n\(stopped\)/);
  assert.equal(existsSync(out), false);
});
