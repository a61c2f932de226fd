/** When the agent has root look at what is staged. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Policy } from '../../../src/core/policy/policy.ts';
import type { Receipt } from '../../../src/core/run/receipt.ts';
import type { Root } from '../../../src/target/machine/root.ts';
import { StagedTaker } from '../../../src/target/service/staged-taker.ts';
import { askedRoot } from '../../support/asked-root.ts';
import { makeTestRelease } from '../../support/bundles.ts';

const good = makeTestRelease();

test('files that keep coming put off what is staged for a while, and not past its window', async (t) => {
  const policy = { window: { from: '02:00', to: '03:00' } };
  const { activate, machine } = await askedRoot(t, good, { policy });
  const receipt = (await activate(good, 1)) as Receipt;
  assert.equal(receipt.state, 'staged');
  let looks = 0;
  const root = {
    resume: async () => [],
    activateStaged: async () => {
      looks += 1;
      return { ...receipt, state: 'committed', code: undefined };
    },
  } as unknown as Root;
  const taker = new StagedTaker(machine, { root, onReceipt: () => undefined });
  assert.equal(await taker.takeNext({ isBusy: false }), undefined);
  Object.assign(machine, { policy: { ...machine.policy, window: undefined } as Policy });
  await machine.clock.sleep(29_000);
  assert.deepEqual([await taker.takeNext({ isBusy: true }), looks], [undefined, 0]);
  await machine.clock.sleep(1000);
  assert.deepEqual([await taker.takeNext({ isBusy: true }), looks], [0, 1]);
});
