/** A run goes its way and no other, and what is thrown on it has a code. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NixmakerError } from '../../../src/core/errors.ts';
import { readJournal } from '../../../src/state/journal.ts';
import { outcomeOf, Transaction } from '../../../src/target/machine/transaction.ts';
import { rootInMemory } from '../../support/root-machine.ts';

test('a step that the life cycle does not have is refused, and nothing of it is written', async (t) => {
  const { machine, runs } = await rootInMemory(t);
  const transaction = await Transaction.begin(machine, 'web.tar');
  await assert.rejects(transaction.advance('boot-entry'), {
    code: 'internal',
    detail: 'no transition from discovered to boot-entry',
  });
  assert.deepEqual([transaction.state, transaction.reached('boot-entry')], ['discovered', false]);
  assert.deepEqual(
    (await runs()).map((r) => r.state),
    ['discovered'],
  );
});

test('a run that has ended stays as it ended, whatever is said of it afterwards', async (t) => {
  const { machine, runs } = await rootInMemory(t);
  const transaction = await Transaction.begin(machine, 'web.tar');
  await transaction.end('refused', { code: 'expired', detail: 'long ago' });
  const receipt = await transaction.end('failed', { code: 'io-error', detail: 'while tidying up' });
  assert.deepEqual([receipt.state, receipt.code, receipt.detail], ['refused', 'expired', 'long ago']);
  assert.deepEqual(
    (await runs()).map((r) => [r.state, r.code]),
    [['refused', 'expired']],
  );
});

test('what is thrown has a code: its own, of a full disk, of the system, or of a fault of ours', () => {
  const fromSystem = (code: string) => Object.assign(new Error(`${code}: x`), { code, syscall: 'write' });
  for (const [error, code, detail] of [
    [new NixmakerError('busy', 'held'), 'busy', 'held'],
    [fromSystem('ENOSPC'), 'no-space', 'ENOSPC: x'],
    [fromSystem('EDQUOT'), 'no-space', 'EDQUOT: x'],
    [fromSystem('EIO'), 'io-error', 'EIO: x'],
    [new TypeError('x is\nundefined'), 'internal', 'x is undefined'],
    ['a string', 'internal', 'a string'],
  ] as const)
    assert.deepEqual(outcomeOf(error), { code, detail });
});

test('a run that comes to what its file was known to wait for leaves no record; one that comes to anything else, all of it', async (t) => {
  const { machine, runs, events } = await rootInMemory(t);
  const known = { knownWait: 'no-space' } as const;
  const again = await Transaction.begin(machine, 'web.tar', { id: 'a'.repeat(12), ...known });
  await again.advance('verified');
  const waited = await again.end('deferred', { code: 'no-space', detail: 'none' });
  assert.deepEqual([waited.state, waited.code], ['deferred', 'no-space']);
  assert.deepEqual([await runs(), events], [[], []]);

  const other = await Transaction.begin(machine, 'web.tar', { id: 'b'.repeat(12), ...known });
  await other.advance('verified');
  await other.end('deferred', { code: 'outside-window', detail: 'not now' });
  const taken = await Transaction.begin(machine, 'web.tar', { id: 'c'.repeat(12), ...known });
  await taken.advance('verified');
  await taken.advance('accepted');
  // An import begins.
  await taken.record();
  const steps = async () =>
    (await readJournal(machine.settings.stateDirectory)).records.map((r) => `${r.transaction[0]} ${r.state}`);
  assert.deepEqual(await steps(), [
    ...['b discovered', 'b verified', 'b deferred'],
    ...['c discovered', 'c verified', 'c accepted'],
  ]);
  await taken.end('deferred', { code: 'no-space', detail: 'none' });
  assert.equal((await steps()).at(-1), 'c deferred', 'what has begun has an end');
});
