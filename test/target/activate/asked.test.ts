/** What root asks others before a system stays: the operator’s program, and the checks of the policy. */
import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import { test } from 'node:test';
import { requireApproval } from '../../../src/target/activate/approval.ts';
import { requireHealth, runHealthChecks } from '../../../src/target/activate/health.ts';
import { Transaction } from '../../../src/target/machine/transaction.ts';
import { type Making, newSystem, rootInMemory } from '../../support/root-machine.ts';

async function scene(t: TestContext, making: Making) {
  const made = await rootInMemory(t, making);
  const transaction = await Transaction.begin(made.machine, 'web.tar');
  transaction.learn({ host: 'web', sequence: 5, toplevel: newSystem, operation: 'switch' });
  return { ...made, transaction };
}

const approval = { policy: { approval: { command: ['/bin/ask', '--now'], timeout: 7 } } };

test('without a program in the policy nobody is asked', async (t) => {
  const { machine, transaction, started } = await scene(t, {});
  await requireApproval(machine, transaction);
  assert.deepEqual(started, []);
});

test('the operator’s program is told what is to be installed, and 0 is a yes', async (t) => {
  const { machine, transaction, started } = await scene(t, approval);
  await requireApproval(machine, transaction);
  assert.deepEqual(started, [
    {
      argv: ['/bin/ask', '--now'],
      options: {
        env: {
          NIXMAKER_HOST: 'web',
          NIXMAKER_SEQUENCE: '5',
          NIXMAKER_TOPLEVEL: newSystem,
          NIXMAKER_OPERATION: 'switch',
        },
        cwd: '/',
        timeout: 7000,
      },
    },
  ]);
});

for (const [what, result, detail] of [
  [
    'a no',
    { exitCode: 1, stderrTail: ['x', 'not before noon'] },
    '/bin/ask refused (exit 1): not before noon',
  ],
  ['a no in other words', { exitCode: 1, stdout: 'a\nlater\n' }, '/bin/ask refused (exit 1): later'],
  ['a signal', { exitCode: undefined }, '/bin/ask refused (killed by a signal)'],
  ['silence', { exitCode: undefined, timedOut: true }, '/bin/ask gave no answer in time'],
  [
    'a program that is not there',
    { exitCode: undefined, startError: 'ENOENT' },
    '/bin/ask refused (killed by a signal): ENOENT',
  ],
] as const)
  test(`${what} is a no`, async (t) => {
    const { machine, transaction } = await scene(t, { ...approval, answer: () => result });
    await assert.rejects(requireApproval(machine, transaction), { code: 'not-approved', detail });
  });

test('under systemd it is asked outside of the helper’s confinement, for as long as the policy says', async (t) => {
  const { machine, transaction, started } = await scene(t, {
    ...approval,
    settings: { activation: 'systemd' },
  });
  await requireApproval(machine, transaction);
  const argv = started[0]?.argv ?? [];
  assert.equal(argv[0], 'systemd-run');
  assert.ok(argv.includes('--property=RuntimeMaxSec=7') && argv.includes('--setenv=NIXMAKER_SEQUENCE=5'));
  assert.deepEqual(argv.slice(argv.indexOf('--') + 1), ['/bin/ask', '--now']);
});

const health = { policy: { health: { commands: [['/bin/a'], ['/bin/b']], settle: 0, retries: 0 } } };

test('without checks every system is well', async (t) => {
  const { machine, transaction, started } = await scene(t, {});
  await requireHealth(machine, { transaction, afterStart: true });
  assert.deepEqual(await runHealthChecks(machine, { failedBefore: undefined, afterStart: false }), []);
  assert.deepEqual([started, transaction.known.health], [[], undefined]);
});

test('checks that pass are kept in the receipt; of those that do not, all are told', async (t) => {
  const good = await scene(t, health);
  await requireHealth(good.machine, { transaction: good.transaction, afterStart: false });
  assert.deepEqual(
    good.transaction.known.health?.map((h) => [h.check, h.ok]),
    [
      ['/bin/a', true],
      ['/bin/b', true],
    ],
  );
  const answer = ([program]: readonly string[]) => (program === '/bin/b' ? { exitCode: 2 } : undefined);
  const bad = await scene(t, { ...health, answer });
  await assert.rejects(requireHealth(bad.machine, { transaction: bad.transaction, afterStart: false }), {
    code: 'health-failed',
    detail: 'failed: /bin/b (exit 2)',
  });
  assert.equal(bad.transaction.known.health?.length, 2);
});

const underSystemd = { ...health, settings: { activation: 'systemd' } };

test('after a start the units come first: while they do not, nothing else is looked at', async (t) => {
  const answer = ([, verb]: readonly string[]) =>
    verb === 'list-jobs' ? { stdout: '7 slow.service start running\n' } : undefined;
  const { machine, started } = await scene(t, { ...underSystemd, answer });
  const results = await runHealthChecks(machine, { failedBefore: [], afterStart: true });
  assert.deepEqual(
    results.map((r) => [r.ok, r.detail]),
    [[false, 'still starting: slow.service']],
  );
  assert.ok(started.every(({ argv }) => argv[0] === 'systemctl'));
  const there = await scene(t, underSystemd);
  const looked = await runHealthChecks(there.machine, { failedBefore: [], afterStart: true });
  assert.deepEqual(
    looked.slice(0, 2).map((r) => [r.check, r.ok]),
    [
      ['/bin/a', true],
      ['/bin/b', true],
    ],
  );
});

test('checks run outside whose answer can’t be read are not well', async (t) => {
  const { machine, transaction } = await scene(t, {
    ...underSystemd,
    answer: () => ({ stdout: '[{"check":"x"}]', stderrTail: ['killed'] }),
  });
  await assert.rejects(requireHealth(machine, { transaction, afterStart: false }), {
    code: 'health-failed',
    detail: 'failed: the health checks can run (killed)',
  });
  const answer = () => ({ stdout: '[{"check":"x","ok":true},{"check":"y","ok":false,"detail":"z"}]' });
  const other = await scene(t, { ...underSystemd, answer });
  await assert.rejects(requireHealth(other.machine, { transaction: other.transaction, afterStart: false }), {
    detail: 'failed: y (z)',
  });
});

test('outside, checks have as long as their own policy lets them take, a start’s time besides, and a minute', async (t) => {
  const policy = {
    health: { commands: [['/bin/a']], settle: 7, retries: 3, timeout: 11, interval: 5 },
    boot: { startTimeout: 1000 },
  };
  const asked = async (afterStart: boolean, failedUnitsBefore?: readonly string[], restarted?: string[]) => {
    const made = await scene(t, {
      policy,
      settings: { activation: 'systemd' },
      answer: () => ({ stdout: '[]' }),
    });
    if (failedUnitsBefore !== undefined) made.transaction.learn({ failedUnitsBefore });
    if (restarted !== undefined) made.transaction.learn({ restartedUnitsBefore: restarted });
    const files = { policy: '/p.json', settings: '/s.json' };
    await requireHealth({ ...made.machine, files }, { transaction: made.transaction, afterStart });
    const argv = made.started[0]?.argv ?? [];
    return {
      seconds: argv
        .find((a) => a.startsWith('--property=RuntimeMaxSec='))
        ?.split('=')
        .at(-1),
      ours: argv.slice(argv.indexOf('check-health') + 1),
    };
  };
  const own = 7 + 4 * (11 + 30) + 3 * 5 + 60;
  const files = ['--settings', '/s.json', '--policy', '/p.json'];
  assert.deepEqual(await asked(false), { seconds: String(own), ours: files });
  assert.deepEqual(await asked(true, ['a.service']), {
    seconds: String(own + 1000),
    ours: [...files, '--after-start', '--failed-before', 'a.service'],
  });
  assert.deepEqual((await asked(false, [])).ours, [...files, '--failed-before']);
  const both = ['--failed-before', 'a.service', '--restarted-before', 'b.service'];
  assert.deepEqual((await asked(false, ['a.service'], ['b.service'])).ours, [...files, ...both]);
});
