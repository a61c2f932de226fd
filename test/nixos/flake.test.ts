/** flake.nix, evaluated whole against a stand-in for nixpkgs, and the template against both; and what it builds with. */
import assert from 'node:assert/strict';
import { cp, mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeBuilder } from '../machines/builder.ts';
import { checkout } from '../machines/program.ts';
import { makeWorkplace } from '../support/fleet.ts';

const folder = await makeWorkplace();
const builder = await makeBuilder(join(folder, 'builder'));
const nixpkgs = `path:${checkout}test/nixos/nixpkgs`;
/** What the flake is made of; Nix would copy all of a checkout, packages of npm and all. */
const parts = [
  'flake.nix',
  'nix',
  'nixos-module',
  'systemd',
  'templates',
  'test/nixos',
  'src',
  'docs',
  'share',
  'package.json',
  'package-lock.json',
  'tsconfig.json',
  'tools/compile',
  'README.md',
  'LICENSE',
  'flake.lock',
];
const override = ['--override-input', 'nixpkgs', nixpkgs];
const flake = join(folder, 'flake');
await mkdir(flake);
for (const part of parts) await cp(join(checkout, part), join(flake, part), { recursive: true });

async function nix(...args: readonly string[]): Promise<string> {
  const ran = await builder.run(['nix', ...args, '--offline']);
  assert.equal(ran.code, 0, ran.stderr);
  return ran.stdout;
}

test('named as it lies, where nothing can be written, it has its inputs locked', async () => {
  // The module alone needs nothing of nixpkgs, which can't be fetched here.
  const read = (path: string) =>
    builder.run([
      ...['nix', 'eval', '--raw', '--offline', '--impure', '--expr'],
      `(builtins.getFlake "path:${path}").nixosModules.default.key`,
    ]);
  const locked = await read(flake);
  assert.equal(locked.code, 0, locked.stderr);
  assert.match(locked.stdout, /flake\.nix#nixosModules\.default$/);
  const bare = join(folder, 'bare');
  await cp(flake, bare, { recursive: true });
  await rm(join(bare, 'flake.lock'));
  assert.notEqual((await read(bare)).code, 0, 'it is the lock that does it');
});

test('the package says what a reviewer of nixpkgs asks for, and its hook runs on its own Node.js', async () => {
  const about =
    'p: { inherit (p) npmConfigHook; inherit (p.meta) description license mainProgram maintainers platforms; tests = builtins.attrNames p.passthru.tests; }';
  const said = await nix(
    'eval',
    '--json',
    ...override,
    `path:${flake}#packages.x86_64-linux.default`,
    '--apply',
    about,
  );
  const { tests, ...meta } = JSON.parse(said) as Record<string, unknown> & { tests: string[] };
  assert.equal(tests.length, 8);
  assert.deepEqual(meta, {
    npmConfigHook: 'hook',
    description: 'Updates for NixOS machines that nothing can reach over a network',
    license: 'MIT',
    mainProgram: 'nixmaker',
    maintainers: [],
    platforms: [],
  });
});

test('all of the flake evaluates, on all its systems, without a network', async () => {
  await nix('flake', 'check', '--no-build', '--all-systems', ...override, `path:${flake}`);
});

test('it offers what users of flakes look for', async () => {
  const shown = JSON.parse(await nix('flake', 'show', '--json', ...override, `path:${flake}`)) as Record<
    string,
    unknown
  >;
  const text = JSON.stringify(shown);
  for (const name of [
    'nixosModules',
    'overlays',
    'packages',
    'apps',
    'checks',
    'formatter',
    'devShells',
    'templates',
    'lib',
  ])
    assert.match(text, new RegExp(`"${name}"`), name);
});

test('each test of test/nixos/machines is among the checks, and its script is whole', async () => {
  const names = await nix(
    'eval',
    '--json',
    ...override,
    `path:${flake}#checks.x86_64-linux`,
    '--apply',
    'checks: builtins.mapAttrs (_: check: check.testScript or null) checks',
  );
  const scripts = JSON.parse(names) as Record<string, string | null>;
  const { package: _, ...tests } = scripts;
  assert.equal(Object.keys(tests).length, 8);
  for (const [name, script] of Object.entries(tests)) {
    assert.match(script ?? '', /NEXT = "\/nix\/store\//, name);
    assert.doesNotMatch(script ?? '', /\$\{/, name);
    assert.match(script ?? '', /DERIVATION = "\/nix\/store\/\S+\.drv"/, name);
  }
});

test('the template evaluates with the module, and bundles can be its outputs', async () => {
  const template = `path:${flake}/templates/fleet`;
  const inputs = ['--override-input', 'nixmaker', `path:${flake}`, ...override];
  const hosts = await nix(
    'eval',
    '--json',
    ...inputs,
    `${template}#nixosConfigurations`,
    '--apply',
    'builtins.attrNames',
  );
  assert.deepEqual(JSON.parse(hosts), ['bridge', 'engine']);
  const made = `let
      stub = builtins.getFlake "${nixpkgs}";
      fleet = { a.config.system.build.toplevel = derivation { name = "nixos-system-a"; system = "x86_64-linux"; builder = "none"; }; };
      mk = import ${checkout}nix/mk-bundles.nix;
      pkgs = stub.legacyPackages.x86_64-linux;
    in (mk { nixosConfigurations = fleet; pkgs = pkgs // { nixmaker = pkgs.coreutils; }; sequence = 7; }).a.script`;
  const script = await nix('eval', '--raw', '--impure', '--expr', made);
  assert.match(script, /nixmaker pack \S+nixmaker-a-cache .*--host a --system x86_64-linux .*--sequence 7/s);
});
