/** What is asked of a system, and what becomes of an answer, before the profile moves. The systems are folders of the test’s own. */
import assert from 'node:assert/strict';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { CommandResult } from '../../../src/core/ports.ts';
import type { Operation } from '../../../src/core/schema.ts';
import type { StorePath } from '../../../src/core/store-path.ts';
import { activate } from '../../../src/target/activate/activate.ts';
import { diffSystems } from '../../../src/target/activate/system-diff.ts';
import { Transaction } from '../../../src/target/machine/transaction.ts';
import { endingWhatThrows } from '../../../src/target/machine/with-lock.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import { placeSystem } from '../../support/own-store.ts';
import { type Making, oldSystem, rootInMemory } from '../../support/root-machine.ts';

/** What the code takes for a path in the store; it is given one, and reads what is there. */
async function systemOf(t: TestContext, parts: Readonly<Record<string, string>> = {}): Promise<StorePath> {
  const system = join(await temporaryFolder(t), 'system') as StorePath;
  await placeSystem(system, parts);
  return system;
}

interface Plan {
  readonly operation?: Operation;
  /** What the new system’s program does, by verb. */
  readonly verbs?: Readonly<Record<string, Partial<CommandResult>>>;
  readonly making?: Making;
  readonly without?: string;
  readonly unattended?: boolean;
  /** A machine on which nothing runs, and nothing is installed. */
  readonly isBare?: boolean;
}

async function activated(t: TestContext, { operation = 'switch', verbs = {}, making, ...plan }: Plan = {}) {
  const toplevel = await systemOf(t);
  if (plan.without !== undefined) await rm(join(toplevel, plan.without));
  const program = `${toplevel}/bin/switch-to-configuration`;
  const made = await rootInMemory(t, {
    ...(plan.isBare === true ? {} : { running: oldSystem, booted: oldSystem, generations: [oldSystem] }),
    answer: (argv) => (argv[0] === program ? verbs[argv[1] ?? ''] : making?.answer?.(argv)),
    ...(making === undefined ? {} : { policy: making.policy ?? {}, settings: making.settings ?? {} }),
  });
  const transaction = await Transaction.begin(made.machine, 'web.tar');
  for (const state of ['verified', 'accepted', 'imported', 'realised'] as const)
    await transaction.advance(state);
  const { unattended = false } = plan;
  const receipt = await endingWhatThrows(made.machine, { transaction }, () =>
    activate(made.machine, { transaction, toplevel, operation, unattended }),
  );
  const did = made.started.flatMap(({ argv: [name, verb] }) =>
    name === program ? [`new ${verb}`] : name?.startsWith(oldSystem) ? [`old ${verb}`] : [],
  );
  return { ...made, receipt, did };
}

test('it is asked whether it can be switched to, then installed and switched to', async (t) => {
  const { receipt, did, started } = await activated(t);
  assert.deepEqual(
    [receipt.state, receipt.code, did],
    ['committed', undefined, ['new check', 'new boot', 'new switch']],
  );
  assert.deepEqual(
    [receipt.previousToplevel, receipt.previousGeneration, receipt.previousCurrent],
    [oldSystem, 1, oldSystem],
  );
  assert.deepEqual([receipt.bootId, receipt.failedUnitsBefore], ['boot-2', undefined]);
  assert.ok(!started.some(({ argv }) => argv[0] === 'systemctl'), 'without systemd it is not asked');
});

for (const without of ['nixos-version', 'bin/switch-to-configuration'])
  test(`what has no ${without} is no system, and nothing of it is run`, async (t) => {
    const { receipt, did } = await activated(t, { without });
    assert.deepEqual([receipt.code, did], ['not-a-system', []]);
    assert.match(receipt.detail ?? '', new RegExp(without));
  });

const noCheck = { exitCode: 1, stdout: 'Usage: switch-to-configuration [switch|boot]\n' };
for (const [what, check, outcome, detail] of [
  [
    'says that it can’t',
    { exitCode: 1, stdout: 'x\nno\n' },
    ['failed', 'check-failed'],
    /check: not-finished \(exit 1\): no$/,
  ],
  ['crashes', { exitCode: undefined }, ['failed', 'check-failed'], /check: crashed \(exit none\)$/],
  ['explains its use, and crashes', { ...noCheck, exitCode: 101 }, ['failed', 'check-failed'], /crashed/],
  [
    'finds another switch at work',
    { exitCode: 11, stderrTail: ['Could not acquire lock'] },
    ['deferred', 'busy'],
    /another switch is in progress/,
  ],
] as const)
  test(`a system that ${what} when it is asked is not installed`, async (t) => {
    const { receipt, did, started } = await activated(t, { verbs: { check } });
    assert.deepEqual([receipt.state, receipt.code], outcome);
    assert.match(receipt.detail ?? '', detail);
    assert.deepEqual(new Set(did), new Set(['new check']));
    assert.ok(!started.some(({ argv }) => argv[0] === 'nix-env'));
    if ('stdout' in check) assert.deepEqual(receipt.output, check.stdout.trim().split('\n'));
  });

test('an older system, which knows no such question, checks when it is switched to', async (t) => {
  const { receipt, did } = await activated(t, { verbs: { check: noCheck } });
  assert.deepEqual([receipt.state, did], ['committed', ['new check', 'new boot', 'new switch']]);
});

for (const operation of ['test', 'dry-activate'] as const)
  test(`“${operation}” runs just that: no profile, no boot entry, no floor`, async (t) => {
    const { receipt, did, started } = await activated(t, { operation });
    assert.deepEqual([receipt.state, did], ['committed', [`new ${operation}`]]);
    assert.ok(!started.some(({ argv }) => argv[0] === 'nix-env'));
    const failed = await activated(t, { operation, verbs: { [operation]: { exitCode: 4 } } });
    assert.equal(failed.receipt.state, 'committed', 'units that fail are a notice');
  });

test('a test that fails is undone; a dry run that fails has changed nothing', async (t) => {
  const exit = { exitCode: 1, stdout: 'no\n' };
  const tried = await activated(t, { operation: 'test', verbs: { test: exit } });
  assert.deepEqual([tried.receipt.state, tried.receipt.code], ['rolled-back', 'activation-failed']);
  assert.deepEqual(tried.did, ['new test', 'old switch']);
  const dry = await activated(t, { operation: 'dry-activate', verbs: { 'dry-activate': exit } });
  assert.deepEqual([dry.receipt.state, dry.receipt.code], ['failed', 'activation-failed']);
  assert.match(dry.receipt.detail ?? '', /not-finished \(exit 1\): no/);
  assert.deepEqual(dry.did, ['new dry-activate']);
});

test('on a machine on which nothing ran a test that fails leaves nothing to go back to, and says so', async (t) => {
  const verbs = { test: { exitCode: 1, stdout: 'no\n' } };
  const { receipt, did } = await activated(t, { operation: 'test', verbs, isBare: true });
  assert.deepEqual([receipt.state, receipt.code, did], ['failed', 'no-way-back', ['new test']]);
  assert.match(receipt.detail ?? '', /; no system ran before$/);
});

test('on a machine on which nothing runs the first system is installed, and no generation made before', async (t) => {
  const { receipt, started } = await activated(t, { isBare: true });
  assert.equal(receipt.state, 'committed', receipt.detail);
  assert.equal(started.filter(({ argv }) => argv.includes('--set')).length, 1);
});

test('a person at the machine is asked only where nobody else has asked for it', async (t) => {
  const making = {
    policy: { approval: { command: ['/bin/ask'] } },
    answer: ([program]: readonly string[]) => (program === '/bin/ask' ? { exitCode: 1 } : undefined),
  };
  const { receipt, did } = await activated(t, { making, unattended: true });
  assert.deepEqual([receipt.state, receipt.code, did], ['deferred', 'not-approved', ['new check']]);
  assert.equal((await activated(t, { making })).receipt.state, 'committed');
});

test('what is other is told before it is installed; that it can’t be told keeps nothing', async (t) => {
  const { receipt, events } = await activated(t);
  assert.deepEqual([receipt.state, receipt.changes], ['committed', undefined]);
  assert.ok(events.some((e) => e.event === 'changes-unknown' && e.level === 'warn'));
});

/** Answers for two systems of one path each. */
const infos = (argv: readonly string[]): Partial<CommandResult> => {
  const info = { narHash: `sha256-${Buffer.alloc(32).toString('base64')}`, narSize: 1000, references: [] };
  const paths = argv.filter((a) => a.startsWith('/nix/store/'));
  return { stdout: JSON.stringify(Object.fromEntries(paths.map((p) => [p, info]))) };
};

test('of what a bundle brings only packages and sizes are told: its files can’t be looked at', async (t) => {
  const { machine } = await rootInMemory(t, { answer: infos });
  const from = oldSystem;
  const to = await systemOf(t, {
    'kernel-params': 'quiet',
    'etc/systemd/system/a.service': 'x',
  });
  const paths = [{ path: from, narSize: 1500 }];
  const brought = await diffSystems(machine.nix, { from, to: { toplevel: to, paths } });
  assert.deepEqual([brought.units, brought.restart], [[], []]);
  assert.deepEqual([brought.sizeBefore, brought.sizeAfter, brought.packages], [1000, 1500, []]);
});
