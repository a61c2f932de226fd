/** Requests in batches: no more of one start than four times sixteen, and one that stays keeps none behind it waiting. */
import assert from 'node:assert/strict';
import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { vouchRequests, writeRequest } from '../../../src/state/requests.ts';
import { serveAll } from '../../../src/target/root/serve-requests.ts';
import { requestId } from '../../support/asked-root.ts';
import { rootInMemory } from '../../support/root-machine.ts';

async function asked(t: TestContext, count: number) {
  const { machine } = await rootInMemory(t);
  const folder = join(machine.requestsDirectory, vouchRequests.folder);
  await mkdir(folder);
  for (let n = 1; n <= count; n++)
    await writeRequest(machine.requestsDirectory, vouchRequests, { schema: 2, transaction: requestId(n) });
  return { machine, left: async () => (await readdir(folder)).length };
}

test('of one start so many are served, and the unit is started again for the rest', async (t) => {
  const { machine, left } = await asked(t, 66);
  const served: string[] = [];
  await serveAll(machine, vouchRequests, async ({ transaction }, { acknowledge }) => {
    served.push(transaction);
    await acknowledge();
  });
  // The newest: a flood of old ones keeps nobody waiting.
  assert.deepEqual(
    served.toSorted(),
    Array.from({ length: 64 }, (_, n) => requestId(n + 3)),
  );
  assert.equal(await left(), 2);
});

test('requests that can’t be put out of sight are told at the end, and those behind them are served', async (t) => {
  const { machine, left } = await asked(t, 17);
  const served: string[] = [];
  const work = serveAll(machine, vouchRequests, async ({ transaction }, { acknowledge }) => {
    served.push(transaction);
    if (transaction === requestId(1) || transaction === requestId(17)) await acknowledge();
  });
  await assert.rejects(work, {
    code: 'io-error',
    detail: `vouchers/${requestId(2)}.json can neither be removed nor renamed`,
  });
  assert.ok(served.includes(requestId(17)));
  assert.equal(await left(), 15);
});

test('where nothing is asked for nothing is looked at twice', async (t) => {
  const { machine } = await asked(t, 0);
  await serveAll(machine, vouchRequests, () => assert.fail('there is none'));
});
