/** Hosts are evaluated several at a time, as far as the memory goes, each for itself: by nix-eval-jobs or by Nix alone. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { chmod, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { evaluationsAtOnce, hostsTogether } from '../../src/desk/build/evaluation.ts';
import { nixSystem, run } from '../machines/program.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';

const { builder, folder, keys } = await makeDesk();
const gib = 1024 ** 3;

const hosts = {
  'host-1': plainHost('host-1'),
  'a.example.org': plainHost('a'),
  broken: 'throw "broken pipe: \\"${"quoted"}\\""',
  'host-3': plainHost('host-3'),
};
const flake = await writeFlake(join(folder, 'flake'), { hosts });
const path = process.env.PATH ?? '';
const build = (out: string, env: Readonly<Record<string, string>>, ...more: string[]) =>
  builder.nixmaker(
    ['build', '-f', `path:${flake}`, '-d', join(folder, out), '--key', keys.secretFile, '--json', ...more],
    { env },
  );
const told = (stdout: string) =>
  (JSON.parse(stdout) as { hosts: { host: string; code?: string; detail?: string }[] }).hosts;
const sums = async (out: string) =>
  (await run('sh', ['-c', 'sha256sum */*.tar'], { cwd: join(folder, out) })).stdout;

/** A `nix` that says when it begins and ends to evaluate a host, and goes on once `together` of them have begun. */
async function watched(
  name: string,
  together: number,
): Promise<{ env: Record<string, string>; most: () => Promise<number>; begun: () => Promise<number> }> {
  const bin = join(folder, name);
  await mkdir(bin);
  const log = join(bin, 'log');
  await writeFile(log, '');
  const real = (await run('sh', ['-c', 'command -v nix'])).stdout.trim();
  await writeFile(
    join(bin, 'nix'),
    `#!/bin/sh
case "$*" in *nixosConfigurations.*apply*toplevel* | *'instantiate all."'*) ;; *) exec ${real} "$@" ;; esac
echo + >>${log}
until [ "$(grep -c + ${log})" -ge ${together} ]; do sleep 0.05; done
${real} "$@"; code=$?
echo - >>${log}
exit $code
`,
  );
  await chmod(join(bin, 'nix'), 0o755);
  const most = async () => {
    let [now, highest] = [0, 0];
    for (const line of (await readFile(log, 'utf8')).trim().split('\n')) {
      now += line === '+' ? 1 : -1;
      highest = Math.max(highest, now);
    }
    return highest;
  };
  const begun = async () => (await readFile(log, 'utf8')).split('\n').filter((line) => line === '+').length;
  return { env: { PATH: `${bin}:${path}` }, most, begun };
}

for (const [processors, memory, jobs] of [
  [8, 64 * gib, 8],
  [8, 7 * gib, 3],
  [2, 64 * gib, 2],
  [16, gib, 1],
  [1, 0, 1],
] as const)
  test(`with ${processors} processors and ${Math.floor(memory / gib)} GiB, ${jobs} at a time`, () => {
    assert.equal(evaluationsAtOnce(processors, memory), jobs);
  });

for (const [left, jobs, memory, together] of [
  [10, 2, undefined, 1],
  [0, 2, undefined, 0],
  [9, 1, gib / 8, 9],
  [100, 1, gib / 8, 16],
  [8, 2, gib / 8, 4],
  [8, 2, 0, 4],
  [8, 2, 0.7 * gib, 2],
  [8, 1, 3 * gib, 1],
] as const)
  test(`of ${left} hosts with ${jobs} jobs, where one took ${memory}, ${together} together`, () => {
    assert.equal(hostsTogether(left, jobs, memory), together);
  });

for (const [jobs, together] of [
  ['1', 1],
  ['3', 3],
] as const)
  test(`with --eval-jobs ${jobs} no more than that are evaluated at a time, and what one fails of is its own`, async () => {
    const { env, most } = await watched(`nix-${jobs}`, together);
    const ran = await build(`out-${jobs}`, env, '--eval-jobs', jobs);
    assert.equal(ran.code, 1, ran.stderr);
    assert.equal(await most(), together);
    const results = Object.fromEntries(told(ran.stdout).map((h) => [h.host, h.code]));
    assert.deepEqual(results, {
      'a.example.org': undefined,
      broken: 'evaluation-failed',
      'host-1': undefined,
      'host-3': undefined,
    });
    assert.match(told(ran.stdout).find((h) => h.host === 'broken')?.detail ?? '', /broken pipe: "quoted"/);
    assert.equal(await sums(`out-${jobs}`), await sums('out-1'));
  });

test('hosts that take little are evaluated by one process, and the bundles are the same', async () => {
  const names = ['a', 'b', 'c'];
  const small = await writeFlake(join(folder, 'small'), {
    hosts: Object.fromEntries(names.map((name) => [name, plainHost(name)])),
  });
  const { env, begun } = await watched('nix-together', 1);
  const into = async (out: string, ...more: string[]) => {
    const where = ['-f', `path:${small}`, '-d', join(folder, out), '--key', keys.secretFile];
    const ran = await builder.nixmaker(['build', ...where, ...more], { env });
    assert.equal(ran.code, 0, ran.stderr);
  };
  await into('together', '--eval-jobs', '1');
  assert.equal(await begun(), 2, 'the first shows how little it takes');
  for (const name of names) await into('apart', '--host', name);
  assert.equal(await begun(), 2, 'a single one is evaluated with the list of hosts');
  assert.equal(await sums('together'), await sums('apart'));
});

test('where nix-eval-jobs is installed it evaluates all hosts in one call, to the same bundles', async (t) => {
  const bin = join(folder, 'with-jobs');
  await mkdir(bin);
  const installed = (await run('sh', ['-c', 'command -v nix-eval-jobs'])).stdout.trim();
  if (installed === '') t.diagnostic('not run with the real nix-eval-jobs, which is not on PATH');
  const program = installed === '' ? join(import.meta.dirname, '../machines/eval-jobs.ts') : installed;
  await symlink(program, join(bin, 'nix-eval-jobs'));
  const log = join(bin, 'log');
  const env = { PATH: `${bin}:${path}`, EVAL_JOBS_LOG: log };
  const ran = await build('out-jobs', env, '--eval-jobs', '2');
  assert.equal(ran.code, 1, ran.stderr);
  const broken = told(ran.stdout).find((h) => h.host === 'broken');
  assert.equal(broken?.code, 'evaluation-failed');
  assert.match(broken?.detail ?? '', /broken pipe: "quoted"/);
  assert.equal(await sums('out-jobs'), await sums('out-1'));
  if (installed !== '') return;
  const calls = (await readFile(log, 'utf8')).trim().split('\n');
  assert.equal(calls.length, 1);
  assert.match(calls[0] ?? '', /"workers":"2".*"max-memory-size":"2048"/);
  // A worker that the kernel ends takes the rest with it: Nix does that.
  const cut = await build('out-cut', { ...env, EVAL_JOBS_ENDS_AFTER: '1' });
  assert.match(cut.stdout, /"note: nix-eval-jobs did not evaluate all hosts; nix evaluates the rest: /);
  assert.equal(await sums('out-cut'), await sums('out-1'));
  // One host is not worth it.
  await build('out-one', env, '--host', 'host-1');
  assert.equal((await readFile(log, 'utf8')).trim().split('\n').length, 2);
});

test('what is evaluated ahead is held until it is built', async () => {
  const [begun, goOn, out] = [join(folder, 'begun'), join(folder, 'go-on'), join(folder, 'ahead-out')];
  const slow = `{ config.system.build.toplevel = derivation { name = "nixos-system-slow-0"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "echo >${begun}; until [ -e ${goOn} ]; do sleep 0.05; done; mkdir $out" ]; }; }`;
  const ahead = await writeFlake(join(folder, 'ahead'), {
    hosts: { 'a-slow': slow, 'b-waits': plainHost('b-waits') },
  });
  const building = builder.nixmaker(['build', '-f', `path:${ahead}`, '-d', out, '--eval-jobs', '2']);
  let isEnded = false;
  building.finally(() => (isEnded = true));
  const rooted = async () =>
    (await readdir(out, { recursive: true }).catch(() => [])).some((name) =>
      name.endsWith('/recipe-b-waits'),
    );
  while (!isEnded && !(existsSync(begun) && (await rooted()))) await setTimeout(20);
  assert.ok(!isEnded);
  const dead = await builder.run(['nix-store', '--gc', '--print-dead']);
  await writeFile(goOn, '');
  assert.doesNotMatch(dead.stdout, /nixos-system-b-waits-.*\.drv$/m, dead.stderr);
  assert.equal(dead.code, 0, dead.stderr);
  const { code, stderr } = await building;
  assert.equal(code, 0, stderr);
});
