/** What can't be changed while the machine runs is left to its next start; and nothing else that a check says no to. */
import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { activate } from '../../../src/target/activate/activate.ts';
import { Transaction } from '../../../src/target/machine/transaction.ts';
import { endingWhatThrows } from '../../../src/target/machine/with-lock.ts';
import { inOwnStore, placeSystem } from '../../support/own-store.ts';
import { newSystem, oldSystem, rootInMemory } from '../../support/root-machine.ts';

const inhibitors = (version: string) => ({ 'switch-inhibitors': `{"dbus":"${version}"}` });

/** @param failed the check that fails @param version of what inhibits, in the new system; it is 1 in the running one */
async function switched(t: TestContext, failed: string, version: string) {
  await placeSystem(oldSystem, inhibitors('1'));
  await placeSystem(newSystem, inhibitors(version));
  const check = { exitCode: 1, stdout: `Pre-switch check '${failed}' failed\nPre-switch checks failed\n` };
  const made = await rootInMemory(t, {
    ...{ running: oldSystem, booted: oldSystem, generations: [oldSystem] },
    answer: ([program, verb]) =>
      program === `${newSystem}/bin/switch-to-configuration` && verb === 'check' ? check : undefined,
  });
  const transaction = await Transaction.begin(made.machine, 'web.tar');
  for (const state of ['verified', 'accepted', 'imported', 'realised'] as const)
    await transaction.advance(state);
  const request = { transaction, toplevel: newSystem, operation: 'switch', unattended: false } as const;
  const receipt = await endingWhatThrows(made.machine, { transaction }, () =>
    activate(made.machine, request),
  );
  const verbs = made.started.flatMap(({ argv: [program, verb] }) =>
    program?.startsWith(newSystem) ? [verb] : [],
  );
  return { receipt, verbs };
}

inOwnStore(import.meta.url, () => {
  test('an inhibitor that differs leaves the switch to the next start', async (t) => {
    const { receipt, verbs } = await switched(t, 'switchInhibitors', '2');
    assert.equal(receipt.state, 'pending', receipt.detail);
    assert.deepEqual(verbs, ['check', 'boot']);
  });

  for (const [what, failed, version] of [
    ['another check', 'diskEncryption', '2'],
    ['the check of inhibitors, of which none differs,', 'switchInhibitors', '1'],
  ] as const)
    test(`where ${what} fails nothing is installed`, async (t) => {
      const { receipt, verbs } = await switched(t, failed, version);
      assert.deepEqual([receipt.state, receipt.code], ['failed', 'check-failed']);
      assert.match(receipt.detail ?? '', new RegExp(`'${failed}' failed`));
      assert.deepEqual(verbs, ['check']);
    });
});
