/** Whether nixmaker could go on under a system, asked before it stays: its own nixmaker where it has one, or by ourselves. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { StorePath } from '../../../src/core/store-path.ts';
import { requireUsable } from '../../../src/target/activate/usable.ts';
import { Transaction } from '../../../src/target/machine/transaction.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import { type Making, rootInMemory } from '../../support/root-machine.ts';

interface Plan extends Making {
  /** Files of the system. */
  readonly has?: Readonly<Record<string, string>>;
  readonly files?: { settings?: string; policy?: string };
  readonly when?: 'now' | 'next-start';
  /** An operator went back to it. */
  readonly chosen?: boolean;
}

const itsOwn = { 'sw/bin/nixmaker': '' };

async function asked(
  t: TestContext,
  { has = {}, files, when = 'now', chosen = false, ...making }: Plan = {},
) {
  const made = await rootInMemory(t, making);
  const toplevel = join(await temporaryFolder(t), 'system') as StorePath;
  for (const [name, text] of Object.entries(has)) {
    await mkdir(dirname(join(toplevel, name)), { recursive: true });
    await writeFile(join(toplevel, name), text);
  }
  const machine = { ...made.machine, files: { ...made.machine.files, ...files } } as typeof made.machine;
  const transaction = await Transaction.begin(machine, 'web.tar');
  if (chosen) transaction.learn({ targetGeneration: 3 });
  const outcome = await requireUsable(machine, { transaction, toplevel }, when).then(
    () => 'usable',
    (error) => error,
  );
  return { ...made, toplevel, transaction, outcome };
}

test('the system’s own nixmaker is asked about the files as they are, and answers with its exit code', async (t) => {
  const { outcome, started, toplevel, machine, transaction } = await asked(t, { has: itsOwn });
  assert.equal(outcome, 'usable');
  assert.deepEqual(started, [
    {
      argv: [join(toplevel, 'sw/bin/nixmaker'), 'check-policy', machine.files.policy ?? ''],
      options: { cwd: '/', timeout: 60_000 },
    },
  ]);
  assert.equal(transaction.known.notices, undefined);
});

for (const [what, answer, detail] of [
  ['says no', { exitCode: 78, stderrTail: [' The policy ', 'x'] }, /rejects .*policy\.json: The policy x$/],
  ['says nothing', { exitCode: 78 }, /: exit 78$/],
  ['is killed', { exitCode: undefined }, /: killed by a signal$/],
  ['does not answer', { exitCode: undefined, timedOut: true }, /: no answer in time$/],
  ['can’t be started', { exitCode: undefined, startError: 'ENOEXEC', stderrTail: ['x'] }, /: ENOEXEC$/],
] as const)
  test(`a system whose nixmaker ${what} can’t stay`, async (t) => {
    const { outcome } = await asked(t, { has: itsOwn, answer: () => answer });
    assert.equal(outcome.code, 'configuration-unusable');
    assert.match(outcome.detail, detail);
  });

test('what an operator goes back to stays all the same, with a notice', async (t) => {
  const { outcome, transaction } = await asked(t, {
    has: itsOwn,
    chosen: true,
    answer: () => ({ exitCode: 78, stderrTail: ['x'] }),
  });
  assert.equal(outcome, 'usable');
  assert.match(transaction.known.notices?.join() ?? '', /^nixmaker cannot work under this system: .*: x$/);
});

test('settings that were named are named to it as well', async (t) => {
  const { started, machine } = await asked(t, { has: itsOwn, files: { settings: '/srv/settings.json' } });
  const [, ...args] = started[0]?.argv ?? [];
  assert.deepEqual(args, ['check-policy', '--settings', '/srv/settings.json', machine.files.policy]);
});

test('under systemd it is asked outside of the helper’s confinement', async (t) => {
  const { started, toplevel, transaction } = await asked(t, {
    has: itsOwn,
    settings: { activation: 'systemd' },
  });
  const argv = started[0]?.argv ?? [];
  assert.equal(argv[0], 'systemd-run');
  assert.ok(argv.includes(`--unit=nixmaker-usable-${transaction.id}-${process.pid}`), argv.join(' '));
  assert.ok(argv.includes('--property=RuntimeMaxSec=60'));
  assert.equal(argv[argv.indexOf('--') + 1], join(toplevel, 'sw/bin/nixmaker'));
});

test('of files below /etc those count that come with the next start, of others those that are there', async (t) => {
  const files = { settings: '/etc/nixmaker/settings.json', policy: '/etc/nixmaker/policy.json' };
  const has = { ...itsOwn, 'etc/nixmaker/policy.json': '{}', 'srv/policy.json': '{}' };
  const later = await asked(t, { has, files, when: 'next-start' });
  assert.deepEqual(later.started[0]?.argv.slice(2), [
    ...['--settings', files.settings, join(later.toplevel, 'etc/nixmaker/policy.json')],
  ]);
  const now = await asked(t, { has, files });
  assert.deepEqual(now.started[0]?.argv.slice(2), ['--settings', files.settings, files.policy]);
  const elsewhere = await asked(t, { has, files: { policy: '/srv/policy.json' }, when: 'next-start' });
  assert.equal(elsewhere.started[0]?.argv.at(-1), '/srv/policy.json');
});

test('a system without a nixmaker is judged by ourselves: the policy must be one that can be used', async (t) => {
  assert.equal((await asked(t)).outcome, 'usable');
  const folder = await temporaryFolder(t);
  const none = await asked(t, { files: { policy: join(folder, 'none.json') } });
  assert.equal(none.outcome.code, 'configuration-unusable');
  assert.match(none.outcome.detail, /^policy-missing: there is no file /);
  await writeFile(join(folder, 'bad.json'), '{');
  const bad = await asked(t, { files: { policy: join(folder, 'bad.json') } });
  assert.match(bad.outcome.detail, /^policy-malformed: /);
  const settings = await asked(t, { files: { settings: join(folder, 'none.json') } });
  assert.match(settings.outcome.detail, /^settings-malformed: there is no file /);
});

test('the policy that new settings name is the one that is asked about', async (t) => {
  const settings = join(await temporaryFolder(t), 'settings.json');
  await writeFile(settings, JSON.stringify({ policyFile: '/srv/other.json' }));
  const made = await asked(t, { has: itsOwn, files: { settings, policy: undefined as never } });
  assert.equal(made.started[0]?.argv.at(-1), '/srv/other.json');
  await writeFile(settings, '{');
  const unread = await asked(t, { has: itsOwn, files: { settings, policy: undefined as never } });
  assert.equal(unread.started[0]?.argv.at(-1), unread.machine.settings.policyFile);
});
