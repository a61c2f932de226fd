/** When a signal ends a verb: until anything is changed, and never afterwards. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Interruption } from '../../../src/core/run/interruption.ts';
import { Transaction } from '../../../src/target/machine/transaction.ts';
import { endingWhatThrows } from '../../../src/target/machine/with-lock.ts';
import { record, rootInMemory } from '../../support/root-machine.ts';

test('before a run it ends at once; in one that has changed nothing the run ends itself, asked twice at once', async (t) => {
  const { machine, runs } = await rootInMemory(t);
  assert.equal(new Interruption().ask('SIGINT'), 'at-once');
  const stopping = { ...machine, interruption: new Interruption() };
  const transaction = await Transaction.begin(stopping, 'web.tar');
  assert.equal(stopping.interruption.ask('SIGINT'), 'soon');
  assert.equal(stopping.interruption.signal.aborted, true);
  // Whatever the child that was ended makes of it.
  const receipt = await endingWhatThrows(stopping, { transaction }, () =>
    Promise.reject(new Error('killed')),
  );
  assert.deepEqual([receipt.state, receipt.code, receipt.detail], ['deferred', 'stopped', 'by SIGINT']);
  assert.deepEqual(
    (await runs()).map((r) => r.state),
    ['deferred'],
  );
  assert.equal(stopping.interruption.ask('SIGINT'), 'at-once');
});

test('what was asked for in time stops the very step that would change the machine', async (t) => {
  const { machine, runs } = await rootInMemory(t);
  const stopping = { ...machine, interruption: new Interruption() };
  const transaction = await Transaction.begin(stopping, 'generation 1');
  stopping.interruption.ask('SIGHUP');
  await assert.rejects(transaction.advance('profile-set'), { code: 'stopped' });
  assert.deepEqual(
    (await runs()).map((r) => r.state),
    ['discovered'],
  );
});

test('from then on nothing is aborted, also where a run is taken up again or a pending one judged', async (t) => {
  const { machine } = await rootInMemory(t);
  for (const begin of [
    async (m: typeof machine) => (await Transaction.begin(m, 'generation 1')).advance('profile-set'),
    async (m: typeof machine) => Transaction.resume(m, record({ state: 'pending' }), []),
    async (m: typeof machine) => Transaction.resume(m, record({ state: 'rolling-back' }), []),
  ]) {
    const interruption = new Interruption();
    await begin({ ...machine, interruption });
    assert.deepEqual([interruption.ask('SIGINT'), interruption.ask('SIGINT')], ['not', 'not']);
    assert.deepEqual([interruption.signal.aborted, interruption.fault], [false, undefined]);
    // But nothing further is begun.
    await assert.rejects(Transaction.begin({ ...machine, interruption }, 'web.tar'), { code: 'stopped' });
  }
});
