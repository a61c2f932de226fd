import assert from 'node:assert/strict';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkout, makeBuilder } from '../../scripts/sandboxed-target.ts';
import { readPolicy, readSettings } from '../../src/state/config.ts';
import { temporaryFolder } from '../support/bundles.ts';
import { makeWorkplace } from '../support/fleet.ts';

const key = 'fleet-1:G4On3LlFSVMH4IUKGpTV8XAzBBDZuiyID7K1VJmWgAc=';
const builder = await makeBuilder(join(await makeWorkplace(), 'builder'));

interface Evaluated {
  readonly policy: string;
  readonly settings: string;
  readonly nixKeys: readonly string[];
  readonly failed: readonly string[];
  readonly users: {
    readonly users: Readonly<Record<string, { readonly isSystemUser: boolean; readonly group: string }>>;
  };
  /** The script that makes the units’ package. */
  readonly units: string;
  readonly services: Readonly<
    Record<
      string,
      {
        readonly restartIfChanged: boolean;
        readonly path: readonly string[];
        readonly wantedBy: readonly string[];
        readonly requiredBy: readonly string[];
      }
    >
  >;
  readonly paths: Readonly<Record<string, { readonly wantedBy: readonly string[] }>>;
}

async function evaluate(keys: readonly string[]): Promise<Evaluated> {
  const expression = `import ${checkout}test/nixos/evaluate.nix { trustedPublicKeys = [ ${keys.map((k) => `"${k}"`).join(' ')} ]; operation = "boot"; }`;
  const ran = await builder.run(['nix', 'eval', '--impure', '--json', '--expr', expression]);
  assert.equal(ran.code, 0, ran.stderr);
  return JSON.parse(ran.stdout) as Evaluated;
}

test('the policy and settings that the module writes are ones the agent takes', async (t) => {
  const folder = await temporaryFolder(t);
  const evaluated = await evaluate([key]);
  writeFileSync(join(folder, 'policy.json'), evaluated.policy, { mode: 0o644 });
  writeFileSync(join(folder, 'settings.json'), evaluated.settings);
  const policy = await readPolicy(join(folder, 'policy.json'), process.getuid?.() ?? 0);
  assert.deepEqual(
    [policy.host, policy.operation, policy.trustedKeys.map((k) => k.key)],
    ['web', 'boot', [key]],
  );
  await readSettings(join(folder, 'settings.json'), { required: true });
  assert.deepEqual(evaluated.nixKeys, [key]);
  assert.deepEqual(evaluated.failed, []);
});

test('without keys the module says which option to set', async () => {
  assert.match((await evaluate([])).failed.join(), /services\.nixmaker\.trustedPublicKeys/);
});

test('the module installs the units of systemd/, with the package’s own program in them', async (t) => {
  const folder = await temporaryFolder(t);
  const { units, services, paths } = await evaluate([key]);
  const ran = await builder.run(['sh', '-euc', units], { env: { out: folder } });
  assert.equal(ran.code, 0, ran.stderr);
  const names = readdirSync(join(checkout, 'systemd'))
    .filter((name) => name.startsWith('nixmaker'))
    .sort();
  assert.deepEqual(readdirSync(join(folder, 'etc/systemd/system')).sort(), names);
  for (const name of names) {
    const installed = readFileSync(join(folder, 'etc/systemd/system', name), 'utf8');
    assert.equal(
      installed
        .replaceAll('/nixmaker/bin/nixmaker', '/usr/bin/nixmaker')
        .replaceAll('/util-linux/bin/umount', '/usr/bin/umount')
        .replaceAll('/coreutils/bin/rmdir', '/usr/bin/rmdir'),
      readFileSync(join(checkout, 'systemd', name), 'utf8'),
    );
    assert.doesNotMatch(installed, /\/usr\/bin\//);
    // Every unit is one the module speaks of, and the other way round.
    const [stem = '', kind] = name.split('.');
    assert.ok(kind === 'service' ? stem in services : stem in paths, name);
  }
});

test('no switch restarts the services, they find their programs, and their user exists', async () => {
  const { services, users, paths } = await evaluate([key]);
  for (const [name, service] of Object.entries(services)) {
    assert.equal(service.restartIfChanged, false, name);
    for (const needed of ['/nix-package', '/util-linux', '/coreutils', '/systemd'])
      assert.ok(service.path.includes(needed), needed);
  }
  assert.deepEqual(users.users.nixmaker?.isSystemUser, true);
  assert.deepEqual(
    [
      services.nixmaker?.wantedBy,
      services['nixmaker-activate']?.wantedBy,
      services['nixmaker-confirm']?.requiredBy,
      services['nixmaker-reboot']?.wantedBy,
      paths['nixmaker-activate']?.wantedBy,
    ],
    [['multi-user.target'], ['multi-user.target'], ['boot-complete.target'], [], ['multi-user.target']],
  );
});

test('the flake evaluates and offers the module, without a network', async () => {
  const ran = await builder.run([
    'nix',
    'flake',
    'check',
    '--offline',
    '--no-write-lock-file',
    `path:${checkout}`,
  ]);
  assert.equal(ran.code, 0, ran.stderr);
});
