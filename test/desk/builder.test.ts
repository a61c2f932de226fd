import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeBuilder } from '../machines/builder.ts';
import { main } from '../machines/compiled.ts';
import { checkout, nixSystem, run } from '../machines/program.ts';
import { type Keys, makeWorkplace, plainHost, writeFlake } from '../support/fleet.ts';
import { takeApart } from '../support/forge.ts';

const folder = await makeWorkplace();
const builder = await makeBuilder(join(folder, 'builder'));

async function makeKeys(name: string): Promise<Keys> {
  const made = await builder.nixmaker(['keygen', name, '--out', folder]);
  assert.equal(made.code, 0, made.stderr);
  return { secretFile: join(folder, `${name}.secret`), publicKey: made.stdout.trim() };
}

const keys = await makeKeys('fleet-1');

async function nixmaker(...args: string[]) {
  return builder.nixmaker(args);
}

async function ok(...args: string[]): Promise<string> {
  const ran = await nixmaker(...args);
  assert.equal(ran.code, 0, ran.stderr);
  return ran.stdout;
}

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
  assert.match(hosts.find((h) => h.host === 'second')?.detail ?? '', /the second is broken/);
  assert.deepEqual((await readdir(out)).sort(), ['first', 'fourth'], 'no staging folder is left');
  const plain = await nixmaker('build', '-f', `path:${flake}`, '-d', out);
  assert.match(plain.stdout, /^second +FAILED .*evaluation-failed$/m);
  assert.deepEqual(plain.stderr.match(/^first: [a-z]+$/gm), [
    'first: evaluating',
    'first: building',
    'first: packing',
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
  assert.match(ran.stderr, /“mail” is not among web/);
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

test('the same flake gives the same bytes: twice, in another folder, on another day, in another time zone', async () => {
  const flake = await writeFlake(join(folder, 'repeat'));
  const build = async (out: string, env: Record<string, string> = {}, from = flake) => {
    const ran = await builder.nixmaker(['build', '-f', `path:${from}`, '-d', out, '--key', keys.secretFile], {
      env,
    });
    assert.equal(ran.code, 0, ran.stderr);
    return readFile(join(out, 'web', 'web.tar'));
  };
  const first = await build(join(folder, 'repeat-1'));
  assert.ok(first.equals(await build(join(folder, 'repeat-1'))), 'built twice in one folder');
  const later = join(folder, 'later.mjs');
  await writeFile(later, 'const now = Date.now; Date.now = () => now() + 400 * 86400_000;');
  const env = { NODE_OPTIONS: `--import ${later}`, TZ: 'Pacific/Kiritimati', LC_ALL: 'C' };
  assert.ok(first.equals(await build(join(folder, 'another folder?#%41'), env)), 'elsewhere and later');
  await writeFlake(join(folder, 'repeat-copy'));
  assert.ok(
    first.equals(await build(join(folder, 'repeat-3'), {}, join(folder, 'repeat-copy'))),
    'from a copy of the flake',
  );
});

test('stock tools take a bundle: tar, and nix copy from the folder', async () => {
  const flake = await writeFlake(join(folder, 'stock'));
  await ok('build', '-f', `path:${flake}`, '-d', join(folder, 'stock-out'), '--key', keys.secretFile);
  const unpacked = join(folder, 'stock-cache');
  await mkdir(unpacked);
  execFileSync('tar', ['-xf', join(folder, 'stock-out/web/web.tar'), '-C', unpacked]);
  const other = await makeBuilder(join(folder, 'other'));
  const copied = await other.run([
    'sh',
    '-euc',
    `nix copy --option trusted-public-keys '${keys.publicKey}' --from 'file://${unpacked}' "$(tail -n1 ${unpacked}/meta)" && cat "$(tail -n1 ${unpacked}/meta)/nixos-version"`,
  ]);
  assert.equal(copied.stdout, '26.05.sample', copied.stderr);
  const distrusting = await makeBuilder(join(folder, 'distrusting'));
  const refused = await distrusting.run([
    'sh',
    '-c',
    `nix copy --from 'file://${unpacked}' "$(tail -n1 ${unpacked}/meta)"`,
  ]);
  assert.match(refused.stderr, /lacks a signature by a trusted key/);
});

test('the sequence is greater than the last and than the floor given, and stays while nothing changes', async () => {
  const flake = join(folder, 'counting');
  const out = join(folder, 'counting-out');
  const sequence = async (motd: string, ...args: string[]) => {
    await writeFlake(flake, { hosts: { web: plainHost('web', motd) } });
    const { hosts } = JSON.parse(await ok('build', '-f', `path:${flake}`, '-d', out, '--json', ...args)) as {
      hosts: { sequence: number }[];
    };
    return hosts[0]?.sequence;
  };
  assert.equal(await sequence('one'), 1);
  assert.equal(await sequence('two'), 2);
  assert.equal(await sequence('two', '--sequence', '40'), 41);
  assert.equal(await sequence('three', '--sequence', '7'), 42);
});

test('a last bundle that can’t be read stops its host, and is left as it is', async () => {
  const flake = await writeFlake(join(folder, 'unreadable'));
  const out = join(folder, 'unreadable-out');
  await mkdir(join(out, 'web'), { recursive: true });
  await writeFile(join(out, 'web', 'web.tar'), 'not a bundle at all'.repeat(100));
  const ran = await nixmaker('build', '-f', `path:${flake}`, '-d', out);
  assert.equal(ran.code, 1);
  assert.match(ran.stdout, /last-bundle-unreadable/);
  assert.match(await readFile(join(out, 'web', 'web.tar'), 'utf8'), /^not a bundle/);
});

test('content derivation builds nothing at all on the builder', async () => {
  const fresh = await makeBuilder(join(folder, 'evaluator'));
  const flake = await writeFlake(join(folder, 'recipes'), {
    hosts: { web: plainHost('web', 'never built here') },
  });
  const out = join(folder, 'recipes-out');
  const ran = await fresh.nixmaker(['build', '-f', `path:${flake}`, '-d', out, '--content', 'derivation']);
  assert.equal(ran.code, 0, ran.stderr);
  const valid = await fresh.run(['nix', 'path-info', '--all']);
  const built = valid.stdout.split('\n').filter((p) => p !== '' && !/\.drv$|\.sh$|-source$/.test(p));
  assert.deepEqual(built, []);
  const names = execFileSync('tar', ['-tf', join(out, 'web', 'web.tar')], { encoding: 'utf8' });
  const [derivation = ''] = (await readFile(join(out, 'web', 'meta'), 'utf8')).split('\n');
  assert.ok(names.includes(`${derivation.slice(11, 43)}.narinfo`));
});

test('the guard tells of the flake’s own source in a closure, and by which way it came', async () => {
  const leaking = '(mkSystem { hostName = "web"; motd = "see ${self}/flake.nix"; })';
  const flake = await writeFlake(join(folder, 'leaking'), { hosts: { web: leaking } });
  const out = join(folder, 'leaking-out');
  const warned = await nixmaker('build', '-f', `path:${flake}`, '-d', out);
  assert.equal(warned.code, 0, warned.stderr);
  assert.match(
    warned.stderr,
    /warning: web: the flake’s own source, \/nix\/store\/\S+-source, is in the bundle because of \S+-nixos-system-web-\S+ → \S+-etc-web → \S+-source/,
  );
  const forbidden = await nixmaker(
    'build',
    '-f',
    `path:${flake}`,
    '-d',
    join(folder, 'leaking-no'),
    '--forbid-source',
  );
  assert.equal(forbidden.code, 1);
  assert.match(forbidden.stdout, /source-in-closure/);
  assert.ok(!existsSync(join(folder, 'leaking-no', 'web', 'web.tar')));
});

test('the guard tells of another host’s system in a closure', async () => {
  const web =
    '(mkSystem { hostName = "web"; motd = "beside ${self.nixosConfigurations.mail.config.system.build.toplevel}"; })';
  const flake = await writeFlake(join(folder, 'mixed'), { hosts: { web, mail: plainHost('mail') } });
  const ran = await nixmaker(
    'build',
    '-f',
    `path:${flake}`,
    '-d',
    join(folder, 'mixed-out'),
    '--host',
    'web',
  );
  assert.match(ran.stderr, /warning: web: another host’s system, \S+-nixos-system-mail-\S+,/);
});

test('a clean host is not warned about', async () => {
  const flake = await writeFlake(join(folder, 'clean'));
  const ran = await nixmaker(
    'build',
    '-f',
    `path:${flake}`,
    '-d',
    join(folder, 'clean-out'),
    '--forbid-source',
    '--key',
    keys.secretFile,
  );
  assert.equal(ran.code, 0, ran.stderr);
  assert.doesNotMatch(ran.stderr, /warning|note:/);
});

test('keys made by Nix work, and Nix understands keys made by keygen', async () => {
  const made = await builder.run([
    'sh',
    '-euc',
    'nix key generate-secret --key-name from-nix-1 > "$1" && nix key convert-secret-to-public < "$1"',
    'sh',
    join(folder, 'from-nix.secret'),
  ]);
  const publicKey = made.stdout.trim();
  const flake = await writeFlake(join(folder, 'nix-key'));
  await ok(
    'build',
    '-f',
    `path:${flake}`,
    '-d',
    join(folder, 'nix-key-out'),
    '--key',
    join(folder, 'from-nix.secret'),
  );
  assert.match(
    await ok('verify', '--key', publicKey, join(folder, 'nix-key-out/web/web.tar')),
    /^ok: web 1, signed by from-nix-1/,
  );
  const converted = await builder.run([
    'sh',
    '-c',
    'nix key convert-secret-to-public < "$1"',
    'sh',
    keys.secretFile,
  ]);
  assert.equal(converted.stdout.trim(), keys.publicKey);
});

test('keygen keeps the secret to its owner and never writes over a key', async () => {
  assert.equal((await stat(keys.secretFile)).mode & 0o777, 0o600);
  const before = await readFile(keys.secretFile, 'utf8');
  const again = await nixmaker('keygen', 'fleet-1', '--out', folder);
  assert.equal(again.code, 64);
  assert.match(again.stderr, /key-exists/);
  assert.equal(await readFile(keys.secretFile, 'utf8'), before);
});

test('sign makes an unsigned bundle the same as one signed when it was built; a second key signs beside it', async () => {
  const flake = await writeFlake(join(folder, 'signing'));
  const second = await makeKeys('second-1');
  const signed = join(folder, 'signed-out/web/web.tar');
  const later = join(folder, 'later-out/web/web.tar');
  await ok('build', '-f', `path:${flake}`, '-d', join(folder, 'signed-out'), '--key', keys.secretFile);
  await ok('build', '-f', `path:${flake}`, '-d', join(folder, 'later-out'));
  const unsigned = await nixmaker('verify', '--key', keys.publicKey, later);
  assert.equal(unsigned.code, 65);
  assert.match(unsigned.stdout, /^signature-missing: /);
  await ok('sign', '--key', keys.secretFile, later);
  assert.ok((await readFile(later)).equals(await readFile(signed)));
  await ok('sign', '--key', second.secretFile, later);
  assert.match(
    await ok('verify', '--key', keys.publicKey, '--key', second.publicKey, later),
    /signed by fleet-1, second-1/,
  );
  const twice = await nixmaker('sign', '--key', second.secretFile, later);
  assert.equal(twice.code, 64);
});

test('verify and inspect say what they find, and verify holds a bundle to a host', async () => {
  const flake = await writeFlake(join(folder, 'looked-at'));
  await ok(
    'build',
    '-f',
    `path:${flake}`,
    '-d',
    join(folder, 'looked-at-out'),
    '--key',
    keys.secretFile,
    '--notes',
    'mind the gap',
  );
  const bundle = join(folder, 'looked-at-out/web/web.tar');
  assert.match(await ok('inspect', bundle), /Notes: +mind the gap/);
  const { verified, manifest } = JSON.parse(await ok('inspect', '--json', bundle)) as {
    verified: boolean;
    manifest: { host: string };
  };
  assert.deepEqual([verified, manifest.host], [false, 'web']);
  await ok('verify', '--host', 'web', '--key', `${folder}/fleet-1.public`, bundle);
  const other = await nixmaker('verify', '--host', 'mail', '--key', keys.publicKey, bundle);
  assert.deepEqual([other.code, other.stdout.split(':')[0]], [65, 'wrong-host']);
  const bad = await nixmaker('verify', '--key', 'not-a-key', bundle);
  assert.equal(bad.code, 78);
});

test('the thread’s manual steps work on the classic format, to the letter', async () => {
  const flake = await writeFlake(join(folder, 'classic'));
  const out = join(folder, 'classic-out');
  await ok('build', '-f', `path:${flake}`, '-d', out, '--format', 'classic');
  assert.deepEqual((await readdir(join(out, 'web'))).sort(), [
    'manifest.json',
    'manifest.sig',
    'meta',
    'web.tar.gz',
  ]);
  const machine = await makeBuilder(join(folder, 'classic-machine'));
  const steps = [
    'cd "$1"',
    'tar -xf web.tar.gz',
    'drv=$(head -n1 meta)',
    'nix copy --from "$PWD" "$drv"',
    'path=$(nix build "$drv^*" --no-link --print-out-paths)',
    'test "$path" = "$(tail -n1 meta)"',
    '$path/bin/switch-to-configuration switch',
    'readlink /run/current-system',
  ];
  const ran = await machine.run(['sh', '-euc', steps.join('\n'), 'sh', join(out, 'web')]);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /-nixos-system-web-/);
});

test('folders may be given relative, and as the README has it', async () => {
  const place = join(folder, 'relative place');
  await writeFlake(place);
  const built = await builder.nixmaker(
    ['build', '-f', 'path:.', '--dir', 'out here', '--key', keys.secretFile],
    { cwd: place },
  );
  assert.equal(built.code, 0, built.stderr);
  const verified = await builder.nixmaker(['verify', '--key', keys.publicKey, 'out here/web/web.tar'], {
    cwd: place,
  });
  assert.equal(verified.code, 0, verified.stdout);
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
  assert.notEqual(ran.code, 0);
  assert.deepEqual(await readdir(out), []);
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

test('the builder leaves this machine’s own /nix alone', async () => {
  const before = await run('sh', ['-c', 'ls -la /nix 2>&1; ls /nix/store 2>&1 | sort | cksum']);
  await ok('list', '-f', `path:${await writeFlake(join(folder, 'apart'))}`);
  const after = await run('sh', ['-c', 'ls -la /nix 2>&1; ls /nix/store 2>&1 | sort | cksum']);
  assert.equal(after.stdout, before.stdout);
});

test('pack makes of a cache that is there the bundle that build makes, but for the flake’s name', async () => {
  const flake = await writeFlake(join(folder, 'flakes', 'packed'), {
    hosts: { web: plainHost('web', 'packed') },
  });
  const out = join(folder, 'packed');
  await ok('build', '--flake', `path:${flake}`, '--dir', out, '--sequence', '41');
  const bundle = join(out, 'web/web.tar');
  const [derivation = '', toplevel = ''] = (await readFile(join(out, 'web/meta'), 'utf8')).trim().split('\n');
  const cache = join(folder, 'packed-cache');
  const copied = await builder.run(['nix', 'copy', '--to', `file://${cache}?compression=zstd`, toplevel]);
  assert.equal(copied.code, 0, copied.stderr);
  const args = ['--host', 'web', '--system', nixSystem, '--toplevel', toplevel, '--derivation', derivation];
  const again = join(folder, 'packed-again');
  await ok('pack', cache, '--directory', again, '--sequence', '41', ...args);
  const one = await takeApart(bundle);
  const other = await takeApart(join(again, 'web/web.tar'));
  assert.deepEqual({ ...other.manifest, flake: one.manifest.flake }, one.manifest);
  assert.deepEqual(other.members, one.members);
  assert.equal(other.signatureBytes.length, 0);

  const nothing = await builder.nixmaker(['pack', folder, ...args]);
  assert.deepEqual([nothing.code, /not a binary cache/.test(nothing.stderr)], [64, true], nothing.stderr);
  await rm(join(cache, `${toplevel.slice('/nix/store/'.length, '/nix/store/'.length + 32)}.narinfo`));
  const short = await builder.nixmaker(['pack', cache, ...args]);
  assert.deepEqual([short.code, /closure-incomplete/.test(short.stderr)], [65, true], short.stderr);
});
