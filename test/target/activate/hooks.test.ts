/** The policy’s hooks around an activation: what each decides, and what none of them can stop. */
import assert from 'node:assert/strict';
import { chmod, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { programFault } from '../../../src/activation/program.ts';
import type { CommandResult } from '../../../src/core/ports.ts';
import type { JournalRecord } from '../../../src/core/run/journal.ts';
import type { StorePath } from '../../../src/core/store-path.ts';
import { readAfterHook } from '../../../src/state/after-hook.ts';
import { readReceipt, saveReceipt } from '../../../src/state/receipts.ts';
import { activate } from '../../../src/target/activate/activate.ts';
import { runAfterHook } from '../../../src/target/activate/after-commit.ts';
import { resumeStopped } from '../../../src/target/activate/resume.ts';
import { checkHooks } from '../../../src/target/inspect/hooks.ts';
import { Transaction } from '../../../src/target/machine/transaction.ts';
import { endingWhatThrows } from '../../../src/target/machine/with-lock.ts';
import { runsAtRest } from '../../../src/target/root/host-receipts.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import { placeSystem } from '../../support/own-store.ts';
import { type Making, newSystem, oldSystem, rootInMemory, thisBoot } from '../../support/root-machine.ts';

type Answers = Readonly<Record<string, Partial<CommandResult>>>;

/** Programs that root may run; what they do is answered. */
async function hooksIn(t: TestContext) {
  const folder = await temporaryFolder(t);
  const named = async (name: string) => {
    await writeFile(join(folder, name), '');
    await chmod(join(folder, name), 0o755);
    return { command: [join(folder, name), 'x'] };
  };
  return { before: await named('before'), after: await named('after'), rollBack: await named('rollBack') };
}

interface Given {
  /** By the hook’s name, or the verb of the new system’s program. */
  readonly answers?: Answers;
  readonly operation?: 'switch' | 'boot' | 'test';
  readonly making?: Making;
  readonly onAdvance?: (machine: object, transaction: Transaction) => void;
}

async function activated(t: TestContext, { answers = {}, operation = 'switch', ...given }: Given = {}) {
  const toplevel = join(await temporaryFolder(t), 'system') as StorePath;
  await placeSystem(toplevel, {});
  const hooks = await hooksIn(t);
  const nameOf = (argv: readonly string[]) =>
    Object.entries(hooks).find(([, { command }]) => argv.includes(command[0] ?? ''))?.[0];
  const made = await rootInMemory(t, {
    ...{ running: oldSystem, booted: oldSystem, generations: [oldSystem] },
    ...given.making,
    policy: { hooks, ...given.making?.policy },
    answer: (argv) =>
      answers[nameOf(argv) ?? (argv[0]?.startsWith(toplevel) === true ? (argv[1] ?? '') : '')],
  });
  const transaction = await Transaction.begin(made.machine, 'web.tar');
  transaction.learn({ host: 'web', sequence: 5, manifestDigest: 'd'.repeat(64) });
  for (const state of ['verified', 'accepted', 'imported', 'realised'] as const)
    await transaction.advance(state);
  given.onAdvance?.(made.machine, transaction);
  const receipt = await endingWhatThrows(made.machine, { transaction }, () =>
    activate(made.machine, { transaction, toplevel, operation }),
  );
  const did = () =>
    made.started.flatMap(({ argv }) =>
      argv[0]?.startsWith(toplevel) === true ? [argv[1]] : (nameOf(argv) ?? []),
    );
  const environment = (name: string) =>
    made.started.find(({ argv }) => nameOf(argv) === name)?.options.env ?? {};
  return { ...made, receipt, did, environment, toplevel, transaction };
}

test('before comes last before the first change, and after follows the commit, once', async (t) => {
  const { receipt, did, machine, environment, toplevel, transaction } = await activated(t);
  assert.deepEqual([receipt.state, did()], ['committed', ['check', 'before', 'boot', 'switch']]);
  assert.deepEqual(receipt.hooks, [{ hook: 'before', ok: true }]);
  const env = environment('before');
  assert.deepEqual(
    [env.NIXMAKER_HOOK, env.NIXMAKER_TRANSACTION, env.NIXMAKER_SEQUENCE, env.NIXMAKER_OPERATION],
    ['before', transaction.id, '5', 'switch'],
  );
  assert.deepEqual(
    [env.NIXMAKER_TOPLEVEL, env.NIXMAKER_PREVIOUS, env.NIXMAKER_RUNNING],
    [toplevel, oldSystem, oldSystem],
  );
  const told = await runAfterHook(machine);
  assert.equal(did().at(-1), 'after');
  assert.deepEqual(
    told?.hooks?.map((h) => [h.hook, h.ok]),
    [
      ['before', true],
      ['after', true],
    ],
  );
  assert.deepEqual((await readReceipt(machine.settings.stateDirectory, transaction.id))?.hooks, told?.hooks);
  assert.deepEqual((await runsAtRest(machine)).at(-1)?.hooks, told?.hooks, 'the desk hears of it');
  assert.equal(await runAfterHook(machine), undefined);
  assert.equal(did().filter((d) => d === 'after').length, 1);
});

for (const [what, before, code, detail] of [
  ['not now', { exitCode: 75, stdout: 'the lathe runs\n' }, 'not-now', 'hooks.before: the lathe runs'],
  ['a failure', { exitCode: 3, stderrTail: ['no room'] }, 'hook-failed', 'hooks.before: exit 3: no room'],
  [
    'silence',
    { exitCode: undefined, timedOut: true },
    'hook-failed',
    'hooks.before: it did not finish in time',
  ],
] as const)
  test(`${what} leaves everything as it was, and the bundle waits`, async (t) => {
    const { receipt, did, started, machine, runs } = await activated(t, { answers: { before } });
    assert.deepEqual([receipt.state, receipt.code, receipt.detail], ['deferred', code, detail]);
    assert.deepEqual(did(), ['check', 'before'], 'what failed by itself cleans up after itself');
    assert.ok(!started.some(({ argv }) => argv[0] === 'nix-env'));
    assert.equal((await runs())[0]?.hooks !== undefined, true);
    assert.equal(await runAfterHook(machine), undefined);
  });

test('a program that others could write is not run', async (t) => {
  const folder = await temporaryFolder(t);
  const command = [join(folder, 'open')];
  await writeFile(join(folder, 'open'), '');
  await chmod(join(folder, 'open'), 0o777);
  const { receipt, did } = await activated(t, { making: { policy: { hooks: { before: { command } } } } });
  assert.deepEqual([receipt.state, receipt.code], ['deferred', 'hook-failed']);
  assert.match(receipt.detail ?? '', /^hooks\.before: others can write to .*open$/);
  assert.deepEqual(did(), ['check']);
});

test('what before has begun is undone if nothing could be changed after all', async (t) => {
  const { receipt, did } = await activated(t, {
    onAdvance: (_, transaction) => {
      const advance = transaction.advance.bind(transaction);
      transaction.advance = async (state) => {
        if (state === 'profile-set')
          throw Object.assign(new Error('full'), { code: 'ENOSPC', syscall: 'write' });
        await advance(state);
      };
    },
  });
  assert.deepEqual([receipt.state, receipt.code], ['deferred', 'no-space']);
  assert.deepEqual(did(), ['check', 'before', 'rollBack']);
});

test('“test” asks no hook', async (t) => {
  const { did, machine } = await activated(t, { operation: 'test', answers: { test: { exitCode: 1 } } });
  assert.deepEqual(did(), ['test']);
  assert.equal(await runAfterHook(machine), undefined);
});

test('a rollback runs rollBack first, tells that it failed, and goes on', async (t) => {
  const { receipt, did, environment, machine, started } = await activated(t, {
    answers: { switch: { exitCode: 1, stdout: 'no\n' }, rollBack: { exitCode: 9, stdout: 'no snapshot\n' } },
  });
  assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'activation-failed']);
  assert.deepEqual(did(), ['check', 'before', 'boot', 'switch', 'rollBack']);
  const at = started.findIndex(({ argv }) => argv[0]?.endsWith('/rollBack'));
  assert.ok(
    started.slice(at).some(({ argv }) => argv[0]?.startsWith(oldSystem)),
    'data first, then the system',
  );
  assert.deepEqual(
    receipt.notices?.filter((n) => n.startsWith('hooks')),
    ['hooks.rollBack failed: exit 9: no snapshot. The rollback went on without it.'],
  );
  const { NIXMAKER_CODE, NIXMAKER_DETAIL } = environment('rollBack');
  assert.deepEqual([NIXMAKER_CODE, /no$/.test(NIXMAKER_DETAIL ?? '')], ['activation-failed', true]);
  assert.equal(await runAfterHook(machine), undefined, 'nothing was committed');
});

test('before can say that there is no way back: then the release is one-way', async (t) => {
  const before = { exitCode: 79, stdout: 'the database is migrated\n' };
  const { receipt, did } = await activated(t, {
    answers: { before, switch: { exitCode: 1, stdout: 'no\n' } },
  });
  assert.deepEqual([receipt.state, receipt.code], ['failed', 'left-unwell']);
  assert.match(receipt.detail ?? '', /; the release is one-way: the database is migrated$/);
  assert.ok(!did().includes('rollBack'));
  const well = await activated(t, { answers: { before } });
  assert.deepEqual([well.receipt.state, well.receipt.noWayBack], ['committed', 'the database is migrated']);
});

test('after a power cut in the middle of a rollback rollBack runs again, and before does not', async (t) => {
  const hooks = await hooksIn(t);
  const made = await rootInMemory(t, {
    ...{ running: newSystem, booted: newSystem, generations: [oldSystem, newSystem], policy: { hooks } },
  });
  await made.write({ state: 'rolling-back', operation: 'switch', code: 'health-failed', detail: 'x' });
  const [receipt] = await resumeStopped(made.machine);
  assert.deepEqual([receipt?.state, receipt?.code], ['rolled-back', 'health-failed']);
  const ran = made.started.flatMap(({ argv }) => (argv[1] === 'x' ? [argv[0]?.split('/').at(-1)] : []));
  assert.deepEqual(ran, ['rollBack']);
});

test('after follows only a commit under a policy that had it, and only when nothing is in progress', async (t) => {
  const hooks = await hooksIn(t);
  const scene = async (...records: Partial<JournalRecord>[]) => {
    const made = await rootInMemory(t, { policy: { hooks } });
    await made.write(...records);
    const told = await runAfterHook(made.machine);
    return { ...made, told, ran: made.started.length };
  };
  const committed = { state: 'committed', operation: 'switch' } as const;
  assert.equal((await scene(committed)).ran, 0, 'its policy had no hook');
  assert.equal((await scene({ ...committed, afterDue: true })).ran, 1);
  const busy = { state: 'switched', transaction: 'bbbbbbbbbbbb', bootId: thisBoot } as const;
  assert.equal((await scene({ ...committed, afterDue: true }, busy)).ran, 0);
});

test('that after failed is told, and changes nothing; where its record can’t be written it is run again', async (t) => {
  const after = { exitCode: undefined, timedOut: true };
  const { machine, receipt, transaction } = await activated(t, { answers: { after } });
  assert.equal(receipt.state, 'committed');
  const told = await runAfterHook(machine);
  assert.equal(told?.state, 'committed');
  assert.match(
    told?.notices?.at(-1) ?? '',
    /^hooks\.after failed: it did not finish in time\. The system is/,
  );
  assert.equal((await readAfterHook(machine.floorDirectory))?.transaction, transaction.id);
  const found = await checkHooks(machine);
  assert.deepEqual([found.verdict, /hooks\.after failed/.test(found.what)], ['look', true]);
  await writeFile(join(machine.floorDirectory, 'after-hook.json'), 'torn');
  await saveReceipt(machine.settings.stateDirectory, receipt);
  assert.notEqual(await runAfterHook(machine), undefined);
});

test('under systemd a hook has a unit of its own, which ends as a whole; one that a kill has left is ended first', async (t) => {
  const { started, receipt } = await activated(t, {
    making: { settings: { activation: 'systemd', bootDirectory: '/' } },
  });
  const at = started.findIndex(({ argv }) => argv.some((a) => a.startsWith('--unit=nixmaker-hook-before-')));
  assert.notEqual(at, -1, receipt.detail);
  const argv = started[at]?.argv ?? [];
  for (const option of [
    '--property=RuntimeMaxSec=300',
    '--property=TimeoutStopSec=10',
    '--setenv=NIXMAKER_SEQUENCE=5',
  ])
    assert.ok(argv.includes(option), option);
  assert.ok(!argv.includes('--pipe'));
  assert.deepEqual(started[at - 1]?.argv, ['systemctl', 'stop', 'nixmaker-hook-*.service']);
});

test('doctor tells what root could not run, and how bad that is', async (t) => {
  const hooks = await hooksIn(t);
  const found = async (changes: object) => {
    const { machine } = await rootInMemory(t, { policy: { hooks: changes } });
    const { verdict, what } = await checkHooks(machine);
    return [verdict, what];
  };
  assert.deepEqual(await found({}), ['ok', 'the policy names none']);
  assert.deepEqual(await found(hooks), ['ok', 'hooks.before, hooks.after, hooks.rollBack']);
  const gone = { command: ['/nowhere/x'] };
  assert.deepEqual(await found({ ...hooks, before: gone }), [
    'bad',
    'hooks.before: there is no file /nowhere/x',
  ]);
  assert.deepEqual(await found({ ...hooks, rollBack: gone }), [
    'look',
    'hooks.rollBack: there is no file /nowhere/x',
  ]);
});

test('what root may run: a file that only root can write, in folders that only root can write', async (t) => {
  const folder = await temporaryFolder(t);
  const file = join(folder, 'sub', 'hook');
  await mkdir(join(folder, 'sub'));
  await writeFile(file, '#!/bin/sh\n');
  await chmod(file, 0o755);
  assert.equal(await programFault(file), undefined);
  await symlink(file, join(folder, 'link'));
  assert.equal(await programFault(join(folder, 'link')), undefined);
  assert.match((await programFault(join(folder, 'sub'))) ?? '', /sub is not a program$/);
  assert.match((await programFault(join(file, 'x'))) ?? '', /^there is no file/);
  await chmod(join(folder, 'sub'), 0o777);
  assert.match((await programFault(join(folder, 'link'))) ?? '', /^others can write to .*\/sub$/);
  await chmod(join(folder, 'sub'), 0o1777);
  assert.equal(await programFault(file), undefined, 'as in /tmp');
  await chmod(file, 0o644);
  assert.match((await programFault(file)) ?? '', /hook is not executable$/);
  await chmod(file, 0o755);
  await chmod(join(folder, 'sub'), 0o755);
  const open = join(folder, 'open');
  await mkdir(open);
  await symlink('../sub/hook', join(open, 'link'));
  await symlink('../sub', join(open, 'folder'));
  assert.equal(await programFault(join(open, 'link')), undefined);
  await chmod(open, 0o777);
  for (const path of ['link', 'folder/hook', 'folder/../sub/hook'])
    assert.match((await programFault(`${open}/${path}`)) ?? '', /^others can write to .*\/open$/, path);
  await chmod(open, 0o755);
  await rm(join(open, 'link'));
  await symlink('link', join(open, 'link'));
  assert.match((await programFault(join(open, 'link'))) ?? '', /leads in a circle$/);
});
