/**
 * Whatever a request asks for, root does what its own policy says and nothing else: a property over operations, policies, windows,
 * approvals and health, on a real target. What was run is told by the system’s own switch-to-configuration and by the programs of
 * the policy.
 */
import assert from 'node:assert/strict';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { operations } from '../../src/core/schema.ts';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { askForActivation, bringPaths, changePolicy } from '../support/requests-to-root.ts';
import { take } from '../support/targets.ts';

const shop = await makeWorkshop();
const ran = '/run/nixmaker-test-ran';
const release = (name: string, sequence: number) =>
  shop.bundle(`by-policy-${name}`, {
    hosts: { web: plainHost('web', name) },
    switchPrelude: `mkdir -p /run; echo "\${1:-}" >>${ran}`,
    args: ['--sequence', String(sequence)],
  });
const target = await makeTarget(join(shop.folder, 'target'), {
  host: 'web',
  trustedKeys: [shop.keys.publicKey],
  // It forgets what it has taken, and keeps its generations.
  policy: { firstStart: 'no-record' },
});
after(() => target.close());
const bundle = await release('new', 20);
const old = await take(target, 'switch', await release('old', 10));
assert.equal(old.state, 'committed', old.detail);
await bringPaths(target, bundle);

const time = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);
const windows = {
  none: {},
  open: { window: { from: time(-2), to: time(2) } },
  shut: { window: { from: time(2), to: time(4) } },
};
/** Says that it was asked, then yes or no. */
const says = (what: string, exit: number): [string, ...string[]] => [
  '/bin/sh',
  '-c',
  `echo ${what} >>${ran}; exit ${exit}`,
];
const approvals = {
  none: {},
  yes: { approval: { command: says('asked', 0) } },
  no: { approval: { command: says('asked', 1) } },
};
const look = { settle: 0, retries: 0, noNewFailedUnits: false };
const healths = {
  none: {},
  well: { health: { ...look, commands: [says('looked', 0)] } },
  ill: { health: { ...look, commands: [says('looked', 1)] } },
};
const one = <T extends object>(of: T) => fc.constantFrom(...(Object.keys(of) as (keyof T)[]));

interface Given {
  readonly policy: 'switch' | 'boot';
  readonly window: keyof typeof windows;
  readonly approval: keyof typeof approvals;
  readonly health: keyof typeof healths;
}

/** By the policy alone: how it ends, and what is run until then. */
function expected({ policy, window, approval, health }: Given): readonly [string, readonly string[]] {
  if (window === 'shut') return ['staged', []];
  const asked = ['check', ...(approval === 'none' ? [] : ['asked'])];
  if (approval === 'no') return ['staged', asked];
  if (policy === 'boot') return ['pending', [...asked, 'boot']];
  const done = [...asked, 'boot', 'switch', ...(health === 'none' ? [] : ['looked'])];
  // Back: the boot entry, then the system that ran.
  return health === 'ill' ? ['rolled-back', [...done, 'boot', 'switch']] : ['committed', done];
}

/** A machine that runs the old system and remembers nothing. */
async function begin(): Promise<void> {
  for (const name of await readdir(target.stateDirectory))
    if (/^(journal|floor\.|receipts|staged)/.test(name))
      await rm(join(target.stateDirectory, name), { recursive: true });
  await rm(join(target.root, 'nix/var/nix/profiles/system.floor'), { force: true });
  const profile = '/nix/var/nix/profiles/system';
  const set = await target.run([
    'sh',
    '-ec',
    `nix-env --profile ${profile} --set "$1"; "$1/bin/switch-to-configuration" switch; rm -f ${ran}`,
    'sh',
    old.toplevel,
  ]);
  assert.equal(set.code, 0, set.stderr);
}

test('whatever operation is asked for, nothing is run that the policy would not run by itself', async () => {
  const given = fc.record({
    policy: fc.constantFrom('switch' as const, 'boot' as const),
    window: one(windows),
    approval: one(approvals),
    health: one(healths),
  });
  const asked = fc.option(fc.constantFrom(...operations), { nil: undefined });
  const holds = fc.asyncProperty(given, asked, async (policies, operation) => {
    await begin();
    const { policy, window, approval, health } = policies;
    const back = await changePolicy(target, {
      operation: policy,
      operations: [...operations],
      ...windows[window],
      ...approvals[approval],
      ...healths[health],
    });
    try {
      const answer = await askForActivation(target, bundle, operation === undefined ? {} : { operation });
      const told = (await target.run(['sh', '-c', `cat ${ran} 2>/dev/null`])).stdout;
      const [state, runs] = expected(policies);
      assert.deepEqual(
        [answer.state, told.split('\n').filter((l) => l !== '')],
        [state, runs],
        answer.detail,
      );
    } finally {
      await back();
    }
  });
  await fc.assert(holds, {
    numRuns: 12,
    // What was the way round, first.
    examples: [
      [{ policy: 'switch', window: 'none', approval: 'no', health: 'ill' }, 'test'],
      [{ policy: 'boot', window: 'open', approval: 'none', health: 'ill' }, 'test'],
      [{ policy: 'boot', window: 'none', approval: 'yes', health: 'none' }, 'switch'],
      [{ policy: 'switch', window: 'none', approval: 'none', health: 'ill' }, 'dry-activate'],
    ],
  });
});

test('what failed when a person tried it out is taken all the same; what failed when it was installed is not', async () => {
  await begin();
  const ill = await shop.bundle('by-policy-ill', {
    hosts: { web: plainHost('web', 'ill') },
    switchPrelude: 'case ${1:-} in test|switch) test ! -e /run/nixmaker-test-ill || exit 2;; esac',
    args: ['--sequence', '30'],
  });
  await target.run(['touch', '/run/nixmaker-test-ill']);
  const tried = await take(target, 'test', ill);
  assert.deepEqual([tried.state, tried.code], ['rolled-back', 'activation-failed']);
  const installed = await take(target, 'switch', ill);
  assert.deepEqual([installed.state, installed.code], ['rolled-back', 'activation-failed']);
  assert.deepEqual([(await take(target, 'switch', ill)).code], ['failed-before']);
});
