/** Which flakes and hosts are built, and what is said of those that can’t be. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRelease } from '../../src/desk/keys/read-release.ts';
import { main } from '../machines/compiled.ts';
import { checkout, nixSystem, run } from '../machines/program.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';

const { builder, folder, keys, nixmaker, ok } = await makeDesk();

test('the original tool’s two examples run unchanged on the sample', async () => {
  const place = join(folder, 'original');
  await cp(join(checkout, 'sample'), join(place, 'sample'), { recursive: true });
  const listed = await builder.nixmaker(['list', '--flake', 'sample/', '--directory', place], { cwd: place });
  assert.equal(listed.stdout, 'first\nsecond\nthird\n', listed.stderr);
  const built = await builder.nixmaker(['build', '--flake', 'sample/', '--directory', place], { cwd: place });
  assert.equal(built.code, 0, built.stderr);
  for (const host of ['first', 'second', 'third']) {
    assert.ok(existsSync(join(place, host, `${host}.tar`)));
    const [derivation, output, end] = (await readFile(join(place, host, 'meta'), 'utf8')).split('\n');
    assert.match(derivation ?? '', new RegExp(`^/nix/store/[^/]+-nixos-system-${host}-.*\\.drv$`));
    assert.match(output ?? '', new RegExp(`^/nix/store/[^/]+-nixos-system-${host}-`));
    assert.equal(end, '');
  }
});

test('list names hosts that can’t even be evaluated, and evaluates none', async () => {
  const flake = await writeFlake(join(folder, 'broken-list'), {
    hosts: { good: plainHost('good'), bad: 'throw "no such thing"' },
  });
  assert.equal(await ok('list', '--flake', `path:${flake}`), 'bad\ngood\n');
  assert.deepEqual(JSON.parse(await ok('list', '-f', `path:${flake}`, '--json')), {
    schema: 1,
    hosts: ['bad', 'good'],
  });
});

test('a host that fails does not stop the others; summary and exit code say which', async () => {
  const flake = await writeFlake(join(folder, 'one-bad'), {
    hosts: {
      first: plainHost('first'),
      second: 'throw "the second is broken"',
      third:
        '{ config.system.build.toplevel = derivation { name = "t"; system = "x86_64-linux"; builder = "/bin/sh"; args = [ "-c" "echo it burns >&2; exit 3" ]; }; }',
      fourth: plainHost('fourth'),
      'fifth one': plainHost('fifth'),
    },
  });
  const out = join(folder, 'one-bad-out');
  const ran = await nixmaker('build', '-f', `path:${flake}`, '-d', out, '--json');
  assert.equal(ran.code, 1);
  const { hosts } = JSON.parse(ran.stdout) as {
    hosts: { host: string; status: string; code?: string; detail?: string }[];
  };
  const results = Object.fromEntries(hosts.map((h) => [h.host, h.code ?? h.status]));
  assert.deepEqual(results, {
    first: 'built',
    second: 'evaluation-failed',
    third: 'build-failed',
    fourth: 'built',
    'fifth one': 'host-name-unusable',
  });
  const said = hosts.map((h) => `${h.host}: ${h.code}: ${h.detail}`).join('\n');
  assert.match(said, /^second: evaluation-failed: .*the second is broken/m);
  assert.match(said, /^third: build-failed: .*(?:it burns|exit code 3)/m);
  assert.match(said, /^fifth one: host-name-unusable: .*fifth one/m);
  assert.deepEqual((await readdir(out)).sort(), ['first', 'fourth'], 'no staging folder is left');
  const plain = await nixmaker('build', '-f', `path:${flake}`, '-d', out);
  assert.match(plain.stdout, /^second +FAILED .*evaluation-failed$/m);
  assert.deepEqual(plain.stderr.match(/^first: [a-z]+$/gm), [
    'first: evaluating',
    'first: building',
    'first: packing',
    'first: counting',
    'first: writing',
    'first: built',
  ]);
});

test('a host that the flake has not is a usage error that names those it has', async () => {
  const flake = await writeFlake(join(folder, 'named'));
  const ran = await nixmaker(
    'build',
    '-f',
    `path:${flake}`,
    '-d',
    join(folder, 'named-out'),
    '--host',
    'mail',
  );
  assert.equal(ran.code, 64);
  assert.match(ran.stderr, /“mail” is not one of web\n.*\(no-such-host\)/s);
});

test('flakes of any reference and layout: relative, absolute, a folder of a git repository', async () => {
  const repository = join(folder, 'repository');
  await writeFlake(join(repository, 'deep', 'machines'));
  const git = (...args: string[]) =>
    execFileSync('git', ['-C', repository, '-c', 'user.name=t', '-c', 'user.email=t@example.org', ...args]);
  git('init', '--quiet');
  git('add', '.');
  git('commit', '--quiet', '--message', 'machines');
  for (const [flake, cwd] of [
    ['.', join(repository, 'deep', 'machines')],
    ['./deep/machines', repository],
    [join(repository, 'deep', 'machines'), folder],
    [`git+file://${repository}?dir=deep/machines`, folder],
  ] as const) {
    const ran = await builder.nixmaker(['list', '--flake', flake], { cwd });
    assert.equal(ran.stdout, 'web\n', `${flake}: ${ran.stderr}`);
  }
  const fragment = await nixmaker('list', '--flake', `${repository}#web`);
  assert.equal(fragment.code, 64);
});

test('folders may be given relative, and as the README has it', async () => {
  const place = join(folder, 'relative place');
  await writeFlake(join(place, 'machines'));
  const built = await builder.nixmaker(
    ['build', '-f', 'path:machines', '--dir', 'out here', '--key', keys.secretFile],
    { cwd: place },
  );
  assert.equal(built.code, 0, built.stderr);
  const verified = await builder.nixmaker(['verify', '--key', keys.publicKey, 'out here/web/web.tar'], {
    cwd: place,
  });
  assert.equal(verified.code, 0, verified.stdout);
});

test('usage errors exit with 64, help and version with 0', async () => {
  for (const args of [
    ['explode'],
    ['build', '--content', 'everything'],
    ['build', '--sequence', '-1'],
    ['switch'],
  ]) {
    assert.equal((await nixmaker(...args)).code, 64, args.join(' '));
  }
  assert.equal((await nixmaker('--help')).code, 0);
  assert.match((await nixmaker('--version')).stdout, /^\d+\.\d+\.\d+\n$/);
});

test('a build that is interrupted leaves nothing half written', async () => {
  const begun = join(folder, 'interrupted-begun');
  const hosts = {
    web: `{ config.system.build.toplevel = derivation { name = "nixos-system-web-0"; system = builtins.currentSystem or "x86_64-linux"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "echo >${begun}; sleep 600" ]; }; }`,
  };
  const flake = await writeFlake(join(folder, 'interrupted'), { hosts });
  const out = join(folder, 'interrupted-out');
  // As Ctrl-C does: to all of the group.
  const interrupt =
    'trap "" INT; env --default-signal=INT "$@" & p=$!; until [ -e "$0" ]; do sleep 0.05; done; kill -INT 0; wait $p';
  const ran = await builder.run([
    ...['setsid', '--wait', 'sh', '-euc', interrupt, begun],
    ...[process.execPath, main, 'build', '-f', `path:${flake}`, '-d', out],
  ]);
  assert.ok(existsSync(begun));
  assert.equal(ran.code, 130, ran.stderr);
  assert.match(ran.stderr, /interrupted\.\n +0 of 1 bundles had been written\n.*\n\(stopped\)/);
  assert.doesNotMatch(ran.stdout + ran.stderr, /FAILED|Fix the flake/);
  assert.deepEqual(await readdir(out), []);
});

test('the builder leaves this machine’s own /nix alone', async () => {
  const before = await run('sh', ['-c', 'ls -la /nix 2>&1; ls /nix/store 2>&1 | sort | cksum']);
  await ok('list', '-f', `path:${await writeFlake(join(folder, 'apart'))}`);
  const after = await run('sh', ['-c', 'ls -la /nix 2>&1; ls /nix/store 2>&1 | sort | cksum']);
  assert.equal(after.stdout, before.stdout);
});

test('hosts are looked for under nixosConfigurations and nowhere else', async () => {
  const flake = await writeFlake(join(folder, 'shadowed'), {
    hosts: { web: plainHost('web', 'the right one') },
  });
  const text = await readFile(join(flake, 'flake.nix'), 'utf8');
  // Nix looks for a name among the packages first; in two public fleets there is one of that name.
  const shadows = `packages.${nixSystem}.nixosConfigurations = { web = mkSystem { hostName = "web"; motd = "the wrong one"; }; other = { }; };
    legacyPackages.${nixSystem} = throw "nobody asked for these";`;
  await writeFile(join(flake, 'flake.nix'), text.replace('in {', `in { ${shadows}`));
  assert.equal(await ok('list', '-f', `path:${flake}`), 'web\n');
  const out = join(folder, 'shadowed-out');
  await ok('build', '-f', `path:${flake}`, '-d', out, '--key', keys.secretFile);
  const plain = await writeFlake(join(folder, 'unshadowed'), {
    hosts: { web: plainHost('web', 'the right one') },
  });
  await ok('build', '-f', `path:${plain}`, '-d', `${out}-plain`, '--key', keys.secretFile);
  const toplevel = async (place: string) => (await readRelease(join(place, 'web/web.tar'))).manifest.toplevel;
  assert.equal(await toplevel(out), await toplevel(`${out}-plain`));
});

test('a host that is cross-built is for the machine it is built for', async () => {
  const other = nixSystem === 'aarch64-linux' ? 'x86_64-linux' : 'aarch64-linux';
  const flake = await writeFlake(join(folder, 'cross'), {
    hosts: { web: `${plainHost('web')} // { pkgs.stdenv.hostPlatform.system = "${other}"; }` },
  });
  const out = join(folder, 'cross-out');
  await ok('build', '-f', `path:${flake}`, '-d', out, '--key', keys.secretFile);
  assert.equal((await readRelease(join(out, 'web/web.tar'))).manifest.system, other);
});

test('what lies beside the hosts, and among them what is none, keeps no host from being built', async () => {
  // As flake-parts, Hercules CI and Snowfall leave it, and as people do.
  const flake = await writeFlake(join(folder, 'layouts'), {
    hosts: {
      callable: `${plainHost('callable')} // { __functor = self: arguments: throw "not to be called"; }`,
      'db.example.org': plainHost('db'),
      _common: '{ motd = "shared"; }',
      site: `{ a = ${plainHost('a')}; recurseForDerivations = true; }`,
      lambda: '{ lib, ... }: { }',
      recurseForDerivations: 'true',
    },
  });
  const text = await readFile(join(flake, 'flake.nix'), 'utf8');
  const beside = `herculesCI = { ... }: throw "CI"; effects = throw "effects"; systems = throw "systems"; deploy.nodes = throw "deploy"; colmena = throw "colmena";
    packages.${nixSystem} = throw "packages"; checks = throw "checks"; lib = throw "lib";`;
  await writeFile(join(flake, 'flake.nix'), text.replace('in {', `in { ${beside}`));
  const ran = await nixmaker('build', '-f', `path:${flake}`, '-d', join(folder, 'layouts-out'), '--json');
  const { hosts } = JSON.parse(ran.stdout) as { hosts: { host: string; code?: string; status: string }[] };
  assert.deepEqual(
    hosts.map(({ host, code, status }) => [host, code ?? status]),
    [
      ['_common', 'evaluation-failed'],
      ['callable', 'built'],
      ['db.example.org', 'built'],
      ['lambda', 'evaluation-failed'],
      ['recurseForDerivations', 'evaluation-failed'],
      ['site', 'evaluation-failed'],
    ],
  );
});
