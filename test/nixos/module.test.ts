import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
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
  readonly serviceConfig: Readonly<Record<string, unknown>>;
  readonly restartIfChanged: boolean;
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
  assert.deepEqual([policy.host, policy.operation, policy.trustedKeys], ['web', 'boot', [key]]);
  await readSettings(join(folder, 'settings.json'), { required: true });
  assert.deepEqual(evaluated.nixKeys, [key]);
  assert.deepEqual(evaluated.failed, []);
});

test('without keys the module says which option to set', async () => {
  assert.match((await evaluate([])).failed.join(), /services\.nixmaker\.trustedPublicKeys/);
});

/** `[Service]` of the unit for any systemd, as keys and values. */
function unitFile(): Record<string, string> {
  const service =
    readFileSync(join(checkout, 'systemd/nixmaker.service'), 'utf8')
      .split('[Service]')[1]
      ?.split('[Install]')[0] ?? '';
  return Object.fromEntries(
    [...service.matchAll(/^([A-Za-z]+)=(.*)$/gm)].map((m) => [m[1] as string, m[2] as string]),
  );
}

test('the module’s service is the unit of systemd/', async () => {
  const { serviceConfig, restartIfChanged } = await evaluate([key]);
  const spelled = Object.fromEntries(
    Object.entries(serviceConfig).map(([k, v]) => [k, v === true ? 'yes' : String(v)]),
  );
  assert.deepEqual(
    { ...spelled, ExecStart: 'nixmaker agent' },
    { ...unitFile(), ExecStart: 'nixmaker agent' },
  );
  assert.equal(restartIfChanged, false);
});

test('systemd finds nothing to say about the unit', async (t) => {
  const folder = await temporaryFolder(t);
  const unit = readFileSync(join(checkout, 'systemd/nixmaker.service'), 'utf8');
  writeFileSync(join(folder, 'nixmaker.service'), unit.replace('/usr/bin/nixmaker', '/bin/true'));
  const ran = spawnSync('systemd-analyze', ['verify', join(folder, 'nixmaker.service')], {
    encoding: 'utf8',
  });
  assert.equal(ran.error, undefined);
  // It exits with 0 even for keys it does not know: what it prints counts.
  assert.deepEqual([ran.status, ran.stdout, ran.stderr], [0, '', '']);
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
