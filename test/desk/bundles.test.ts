/** What is in a bundle: the same bytes, sequences, recipes, guards; and what stock tools make of it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRelease } from '../../src/desk/keys/read-release.ts';
import { makeBuilder } from '../machines/builder.ts';
import { nixSystem } from '../machines/program.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';

const { builder, folder, keys, nixmaker, ok } = await makeDesk();

test('the same flake gives the same bytes: twice, in another folder, on another day, in another time zone', async () => {
  const flake = await writeFlake(join(folder, 'repeat'));
  const build = async (out: string, env: Record<string, string> = {}, from = flake) => {
    const args = ['-f', `path:${from}`, '-d', out, '--key', keys.secretFile];
    const ran = await builder.nixmaker(['build', ...args, '--no-cache'], { env });
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
  const ran = await nixmaker('build', '-f', `path:${flake}`, '-d', out, '--json');
  assert.equal(ran.code, 1);
  const { hosts } = JSON.parse(ran.stdout) as { hosts: { code: string; detail: string }[] };
  assert.equal(hosts[0]?.code, 'last-bundle-unreadable');
  assert.match(
    hosts[0]?.detail ?? '',
    /unreadable-out\/web: not-a-bundle: it does not begin with a manifest$/,
  );
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
    /warning: web: the bundle contains the flake’s own source, \/nix\/store\/\S+-source, because of \S+-nixos-system-web-\S+ → \S+-etc-web → \S+-source/,
  );
  const forbidden = await nixmaker(
    'build',
    '-f',
    `path:${flake}`,
    '-d',
    join(folder, 'leaking-no'),
    '--forbid-source',
    '--json',
  );
  assert.equal(forbidden.code, 1);
  const { hosts } = JSON.parse(forbidden.stdout) as { hosts: { code: string; detail: string }[] };
  assert.equal(hosts[0]?.code, 'source-in-closure');
  assert.match(
    hosts[0]?.detail ?? '',
    /^the bundle contains the flake’s own source, \/nix\/store\/\S+-source, because of/,
  );
  assert.ok(!existsSync(join(folder, 'leaking-no', 'web', 'web.tar')));
});

test('the guard knows the flake’s source by its contents, whatever copied it, and lets through what a host needs of it', async () => {
  const only = (expression: string) => `builtins.filterSource (path: type: ${expression}) ./.`;
  const isNix = 'builtins.match ".*[.]nix" path != null';
  const host = (name: string, source: string) =>
    `(mkSystem { hostName = "${name}"; motd = "see \${${source}}"; })`;
  const build = (script: string) =>
    `derivation { name = "built"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin"; args = [ "-c" "${script}" ]; }`;
  const flake = await writeFlake(join(folder, 'copied'), {
    hosts: {
      whole: host('whole', './.'),
      filtered: host('filtered', only('true')),
      some: host('some', `builtins.path { path = ./.; name = "config"; filter = path: type: ${isNix}; }`),
      others: host('others', only(`!(${isNix})`)),
      site: host('site', './www'),
      single: host('single', './system.nix'),
      made: host('made', 'builtins.toFile "x" "y"'),
      built: host('built', build('cp -r ${./.} $out')),
      deep: host('deep', build('mkdir -p $out/share; cp -r ${./.}/machines $out/share')),
      page: host('page', build('mkdir $out; cp -r ${./.}/www ${./.}/system.nix $out')),
    },
  });
  await mkdir(join(flake, 'machines'));
  await writeFile(join(flake, 'machines/web.nix'), '{ password = "secret"; }');
  await mkdir(join(flake, 'www'));
  await writeFile(join(flake, 'www/index.html'), 'a page');
  const out = join(folder, 'copied-out');
  const ran = await nixmaker('build', '-f', `path:${flake}`, '-d', out);
  assert.equal(ran.code, 0, ran.stderr);
  const warned = [
    ...ran.stderr.matchAll(
      /^warning: (\w+): the bundle contains the flake’s own source, (\S+), .* → \S+-etc-\w+ → \2$/gm,
    ),
  ];
  assert.deepEqual(warned.map(([, name]) => name).sort(), [
    'built',
    'deep',
    'filtered',
    'others',
    'some',
    'whole',
  ]);
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
  assert.match(ran.stderr, /^warning: web: .* another host’s system, \S+-nixos-system-mail-\S+,/m);
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

test('the thread’s manual steps work on the classic format, to the letter', async () => {
  const flake = await writeFlake(join(folder, 'classic'));
  const out = join(folder, 'classic-out');
  await ok('build', '-f', `path:${flake}`, '-d', out, '--format', 'classic');
  assert.deepEqual((await readdir(join(out, 'web'))).sort(), [
    '.nixmaker.lock',
    'index',
    'manifest.json',
    'manifest.sig',
    'meta',
    'web.tar.gz',
  ]);
  await writeFlake(flake, { hosts: { web: plainHost('web', 'the second') } });
  const again = await ok('build', '-f', `path:${flake}`, '-d', out, '--format', 'classic', '--json');
  const { hosts } = JSON.parse(again) as { hosts: { sequence: number }[] };
  assert.equal(hosts[0]?.sequence, 2, 'the manifest beside the tarball has the last one');
  const machine = await makeBuilder(join(folder, 'classic-machine'));
  const steps = [
    'cd "$1"',
    'tar -xf web.tar.gz',
    'drv=$(head -n1 meta)',
    'nix copy --from "$PWD" "$drv"',
    'path=$(nix build "$drv^*" --no-link --print-out-paths)',
    'test "$path" = "$(tail -n1 meta)"',
    // NixOS’s boot builder of 2026 refuses to write a menu where there is no generation.
    'nix-env --profile /nix/var/nix/profiles/system --set "$path"',
    '$path/bin/switch-to-configuration switch',
    'readlink /run/current-system',
  ];
  const ran = await machine.run(['sh', '-euc', steps.join('\n'), 'sh', join(out, 'web')]);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /-nixos-system-web-/);
});

test('pack makes of a cache that is there the release that build makes, but for the flake’s name, whatever has compressed it', async () => {
  const flake = await writeFlake(join(folder, 'flakes', 'packed'), {
    hosts: { web: plainHost('web', 'packed') },
  });
  const out = join(folder, 'packed');
  await ok('build', '--flake', `path:${flake}`, '--dir', out, '--sequence', '41');
  const bundle = join(out, 'web/web.tar');
  const [derivation = '', toplevel = ''] = (await readFile(join(out, 'web/meta'), 'utf8')).trim().split('\n');
  const cache = join(folder, 'packed-cache');
  const copied = await builder.run([
    'nix',
    'copy',
    '--to',
    `file://${cache}?compression=zstd&compression-level=12`,
    toplevel,
  ]);
  assert.equal(copied.code, 0, copied.stderr);
  const args = ['--host', 'web', '--system', nixSystem, '--toplevel', toplevel, '--derivation', derivation];
  const again = join(folder, 'packed-again');
  await ok('pack', cache, '--directory', again, '--sequence', '41', ...args);
  const one = await readRelease(bundle);
  const other = await readRelease(join(again, 'web/web.tar'));
  assert.deepEqual({ ...other.manifest, flake: one.manifest.flake }, one.manifest);
  assert.deepEqual(other.index.bytes, one.index.bytes);
  assert.notDeepEqual(other.contentsBytes, one.contentsBytes, 'another zstd');
  assert.deepEqual([...other.pieces.keys()], [...one.pieces.keys()]);
  assert.equal(other.nixSignatures.bytes.length, 0);

  const nothing = await builder.nixmaker(['pack', folder, ...args]);
  assert.deepEqual([nothing.code, /not a binary cache/.test(nothing.stderr)], [64, true], nothing.stderr);
  const damaged = join(folder, 'packed-damaged');
  await cp(cache, damaged, { recursive: true });
  const [nar = ''] = await readdir(join(damaged, 'nar'));
  const bytes = await readFile(join(damaged, 'nar', nar));
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  for (const [spoil, said] of [
    [() => writeFile(join(damaged, 'nar', nar), bytes), /is damaged|cannot use/],
    [() => writeFile(join(damaged, 'nar', nar), bytes.subarray(1)), /damaged|ends inside|cannot use/],
    [() => rm(join(damaged, 'nar', nar)), / is missing$/m],
  ] as const) {
    await spoil();
    const ran = await builder.nixmaker(['pack', damaged, '--directory', join(folder, 'never'), ...args]);
    assert.equal(ran.code, 65, ran.stderr);
    assert.match(ran.stderr, said);
    assert.match(ran.stderr, /^Create it again, .*\n\(cache-unusable\)$/m);
  }
  const xz = join(folder, 'packed-xz');
  await builder.run(['nix', 'copy', '--to', `file://${xz}?compression=xz`, toplevel]);
  const compressed = await builder.nixmaker(['pack', xz, ...args]);
  assert.match(compressed.stderr, /is not compressed with zstd.*\n.*\n\(cache-unusable\)$/m);
  await rm(join(cache, `${toplevel.slice('/nix/store/'.length, '/nix/store/'.length + 32)}.narinfo`));
  const short = await builder.nixmaker(['pack', cache, ...args]);
  assert.deepEqual([short.code, /closure-incomplete/.test(short.stderr)], [65, true], short.stderr);
});
