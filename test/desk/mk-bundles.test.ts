/**
 * `lib.mkBundles`, built by the real Nix: bundles as outputs of a flake, signed afterwards. In the place of nixpkgs’ `mkBinaryCache` a few
 * lines that write what it writes: zstd, named by the file’s hash, and no deriver, content address or signature in the narinfos.
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRelease } from '../../src/desk/keys/read-release.ts';
import { main } from '../machines/compiled.ts';
import { checkout, nixSystem } from '../machines/program.ts';
import { makeDesk } from '../support/desk.ts';
import { plainHost, writeFlake } from '../support/fleet.ts';

const { builder, folder, keys, ok } = await makeDesk();

const makeCache = `
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, renameSync, statSync, writeFileSync } from 'node:fs';
const { closure, outputs: { out } } = JSON.parse(readFileSync(process.env.NIX_ATTRS_JSON_FILE, 'utf8'));
const name = (path) => path.slice('/nix/store/'.length);
mkdirSync(out + '/nar', { recursive: true });
writeFileSync(out + '/nix-cache-info', 'StoreDir: /nix/store\\n');
for (const { path, narHash, narSize, references } of closure) {
  const draft = out + '/nar/draft';
  execFileSync('/bin/sh', ['-c', 'nix-store --dump "$0" | zstd -q >"$1"', path, draft]);
  const hash = execFileSync('nix-hash', ['--base32', '--type', 'sha256', '--flat', draft], { encoding: 'utf8' }).trim();
  renameSync(draft, out + '/nar/' + hash + '.nar.zst');
  writeFileSync(out + '/' + name(path).slice(0, 32) + '.narinfo', [
    'StorePath: ' + path, 'URL: nar/' + hash + '.nar.zst', 'Compression: zstd', 'FileHash: sha256:' + hash,
    'FileSize: ' + statSync(out + '/nar/' + hash + '.nar.zst').size, 'NarHash: ' + narHash, 'NarSize: ' + narSize,
    'References: ' + references.map(name).join(' '), '',
  ].join('\\n'));
}
for (const folder of ['realisations', 'debuginfo', 'log']) mkdirSync(out + '/' + folder);
`;

test('bundles are outputs of a flake: built by Nix, signed at the desk, verified', async () => {
  const flake = await writeFlake(join(folder, 'flake'), {
    hosts: { web: plainHost('web', 'one'), mail: plainHost('mail', 'two') },
  });
  const script = join(folder, 'make-cache.mjs');
  await writeFile(script, makeCache);
  const [path = ''] = [process.env.PATH];
  const expression = `
    let
      build = attributes: derivation ({ system = "${nixSystem}"; builder = "/bin/sh"; } // attributes);
      command = name: tools: text: build { inherit name; PATH = "\${builtins.concatStringsSep ":" (map (tool: "\${tool}/bin") tools)}:${path}"; args = [ "-euc" text ]; };
      pkgs = {
        mkBinaryCache = { name, rootPaths, compression }: assert compression == "zstd"; build {
          inherit name;
          __structuredAttrs = true;
          exportReferencesGraph.closure = rootPaths;
          builder = "/bin/bash";
          env_PATH = "${path}";
          args = [ "-euc" ". ./.attrs.sh; export NIX_ATTRS_JSON_FILE=$PWD/.attrs.json PATH=$env_PATH; exec ${process.execPath} ${script}" ];
        };
        runCommand = name: { nativeBuildInputs }: command name nativeBuildInputs;
        nixmaker = command "nixmaker" [ ] "mkdir -p $out/bin; printf '#!/bin/sh\\nexec ${process.execPath} ${main} \\"$@\\"\\n' >$out/bin/nixmaker; chmod +x $out/bin/nixmaker";
      };
      flake = builtins.getFlake "path:${flake}";
      bundles = import ${checkout}nix/mk-bundles.nix {
        inherit pkgs;
        inherit (flake) nixosConfigurations;
        sequence = 41;
      };
    in command "bundles" [ ] "mkdir $out; cp -r \${bundles.web}/. \${bundles.mail}/. $out"`;
  const built = await builder.run([
    ...[
      'nix',
      'build',
      '--impure',
      '--print-out-paths',
      '--print-build-logs',
      '--no-link',
      '--expr',
      expression,
    ],
  ]);
  assert.equal(built.code, 0, built.stderr);
  for (const host of ['web', 'mail']) {
    const copied = await builder.run([
      ...['install', '-m', '644', `${built.stdout.trim()}/${host}/${host}.tar`, folder],
    ]);
    assert.equal(copied.code, 0, copied.stderr);
    const bundle = join(folder, `${host}.tar`);
    await ok('sign', '--key', keys.secretFile, bundle);
    await ok('verify', '--key', keys.publicKey, '--host', host, bundle);
    const { manifest, index } = await readRelease(bundle);
    assert.deepEqual([manifest.host, manifest.sequence, manifest.system], [host, 42, nixSystem]);
    // The system that `build` makes a bundle of.
    await ok('build', '-f', `path:${flake}`, '-d', join(folder, 'out'), '--host', host);
    const other = await readRelease(join(folder, 'out', host, `${host}.tar`));
    assert.deepEqual([...index.paths()], [...other.index.paths()]);
    assert.equal(manifest.toplevel, other.manifest.toplevel);
  }
  assert.match(await readFile(join(checkout, 'nix/mk-bundles.nix'), 'utf8'), /install -m 644 result/);
});
