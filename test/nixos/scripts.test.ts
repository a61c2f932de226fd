/** The scripts of test/nixos/machines, which can't be run here, checked as nixpkgs’ driver checks them before it starts a machine. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { makeBuilder } from '../machines/builder.ts';
import { checkout } from '../machines/program.ts';
import { makeWorkplace } from '../support/fleet.ts';
import { pythonFaults } from '../support/python-checks.ts';

const folder = await makeWorkplace();
const builder = await makeBuilder(join(folder, 'builder'));
const python = process.env.NIXMAKER_CARRIERS ?? '';

test('the driver would start each of them', async () => {
  const scripts = `let
      nixpkgs = builtins.getFlake "path:${checkout}test/nixos/nixpkgs";
      checks = import ${checkout}test/nixos { pkgs = nixpkgs.legacyPackages.x86_64-linux; module = { }; };
    in builtins.mapAttrs (_: check: check.testScript) checks`;
  const ran = await builder.run(['nix', 'eval', '--json', '--offline', '--impure', '--expr', scripts]);
  assert.equal(ran.code, 0, ran.stderr);
  const found = JSON.parse(ran.stdout) as Record<string, string>;
  assert.equal(Object.keys(found).length, 8);
  assert.deepEqual(await pythonFaults(python, folder, found), []);
});

test('a script that the driver would not start is noticed here', async () => {
  const unused = 'import os\n\ntarget.start()\n';
  const misspelt = 'target.wait_for_units("sshd.service")\n';
  const mistyped = 'def report(name: str) -> str:\n    return target.succeed(f"cat {name}")\n\nreport(7)\n';
  const scripts = { unused, misspelt, mistyped, unknown: 'print(desktop)\n' };
  const said = (await pythonFaults(python, folder, scripts)).join('\n');
  for (const fault of [
    /unused\.py:1:1: 'os' imported but unused/,
    /misspelt-typed\.py.*no attribute "wait_for_units"/,
    /mistyped-typed\.py.*incompatible type "int"/,
    /unknown\.py.*undefined name 'desktop'/,
  ])
    assert.match(said, fault);
});
