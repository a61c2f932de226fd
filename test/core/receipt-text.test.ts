/** The report of a run, as it stands beside the bundle: each line, and where it is left out; and the exit code that stands for it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogue, safetyOf } from '../../src/core/catalogue.ts';
import { exitOf, type Receipt, receiptText } from '../../src/core/run/receipt.ts';

const least: Receipt = {
  schema: 1,
  transaction: '0123456789ab',
  at: '2026-11-28T12:00:00Z',
  source: 'web.tar',
  state: 'committed',
};

test('a receipt that says little is a short report', () => {
  assert.equal(
    receiptText({ ...least, detail: 'The new system is installed and running.' }),
    [
      'DONE',
      '',
      'What:         The new system is installed and running.',
      '',
      'Bundle:       web.tar',
      'When:         2026-11-28T12:00:00Z',
      'Transaction:  0123456789ab',
      '',
    ].join('\n'),
  );
});

test('a receipt that says all there is has a line for each, in order', () => {
  const entry = catalogue['health-failed'];
  const text = receiptText({
    ...least,
    state: 'rolled-back',
    code: 'health-failed',
    detail: 'failed: x',
    host: 'web',
    sequence: 7,
    operation: 'switch',
    toplevel: '/nix/store/new',
    generation: 42,
    previousToplevel: '/nix/store/old',
    signedBy: ['a', 'b'],
    imported: { paths: 3, bytes: 4000, milliseconds: 5 },
    health: [
      { check: 'x', ok: false, detail: 'exit 1' },
      { check: 'y', ok: true },
    ],
    notices: ['one', 'two'],
    changes: ['  vim 1 → 2'],
    output: ['said\u001b[2J'],
  });
  assert.deepEqual(text.split('\n'), [
    'ROLLED BACK, the previous system was restored',
    '',
    `What:         ${entry.what}`,
    'Detail:       failed: x',
    `Safe:         ${safetyOf('health-failed')}`,
    `Next:         ${entry.next}`,
    'Code:         health-failed',
    '',
    'Bundle:       web.tar',
    'Host:         web',
    'Sequence:     7',
    'Operation:    switch',
    'System:       /nix/store/new',
    'Generation:   42',
    'Previous:     /nix/store/old',
    'Signed by:    a, b',
    'Imported:     3 paths, 3.91 KiB',
    'When:         2026-11-28T12:00:00Z',
    'Transaction:  0123456789ab',
    'Health:       BAD  x: exit 1',
    'Health:       ok   y',
    'Notice:       one',
    'Notice:       two',
    '',
    'Changes:',
    '    vim 1 → 2',
    '',
    'Last messages:',
    '  said\\u001b[2J',
    '',
  ]);
});

test('what a program said is left out where it said nothing; a state without a headline is its own', () => {
  const text = receiptText({ ...least, output: [], state: 'healthy' });
  assert.ok(!text.includes('Last messages'));
  assert.ok(text.startsWith('HEALTHY\n'));
});

test('an ending that is good has the exit code 0, another that of its reason, and one without a reason is a fault', () => {
  assert.deepEqual(
    (['committed', 'pending'] as const).map((state) => exitOf({ ...least, state, code: 'expired' })),
    [0, 0],
  );
  assert.equal(exitOf({ ...least, state: 'refused', code: 'expired' }), 77);
  assert.equal(exitOf({ ...least, state: 'deferred', code: 'busy' }), 75);
  assert.equal(exitOf({ ...least, state: 'failed' }), 1);
});

test('what a person’s going back has left is told where it was left, and not where that failed', () => {
  const left = (state: Receipt['state']) =>
    receiptText({ ...least, state, rolledBackFrom: 7 })
      .split('\n')
      .filter((line) => line.startsWith('Left:'));
  for (const state of ['committed', 'pending', 'superseded'] as const)
    assert.deepEqual(left(state), ['Left:         release 7, now held'], state);
  for (const state of ['failed', 'rolled-back', 'refused', 'deferred', 'rolling-back'] as const)
    assert.deepEqual(left(state), [], state);
});
