/** Receipts on their way to the desk, written into a carrier’s folder: one for each run that it has not heard of. */
import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { type HostReceipt, hostReceiptType, type ReceiptRun } from '../../../src/core/run/host-receipt.ts';
import { openEnvelope } from '../../../src/signing/envelope.ts';
import { listOutbox, readLedger } from '../../../src/state/outbox.ts';
import { writeWaits } from '../../../src/state/waits.ts';
import { serveVisit } from '../../../src/target/root/visit.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import { record, rootInMemory } from '../../support/root-machine.ts';

async function scene(t: TestContext) {
  const place = await temporaryFolder(t);
  const made = await rootInMemory(t, {
    policy: { media: { folders: [place] }, sources: { media: false } },
    settings: { bootDirectory: '/' },
    answer: (argv) => (argv.includes('--version') ? { stdout: 'nix-store (Nix) 2.34.8\n' } : undefined),
  });
  const folder = join(place, 'nixmaker/receipts/web');
  return {
    ...made,
    place,
    visit: (runs: readonly ReceiptRun[] = []) =>
      serveVisit(made.machine, {
        schema: 1,
        transaction: '0123456789ab',
        place,
        findings: [],
        runs: [...runs],
      }),
    names: async () => (await readdir(folder)).sort(),
    text: (name: string) => readFile(join(folder, name), 'utf8'),
    receipt: async (name: string) => {
      const { payload } = openEnvelope(await readFile(join(folder, name), 'utf8'), hostReceiptType);
      return JSON.parse(payload.toString()) as HostReceipt;
    },
  };
}

const id = (n: number) => String(n).padStart(12, '0');
const claim = (n: number, changes: Partial<ReceiptRun> = {}): ReceiptRun => ({
  transaction: id(n),
  at: 'then',
  source: 'mail.tar',
  state: 'refused',
  code: 'wrong-host',
  detail: 'no',
  ...changes,
});

test('a machine that has taken nothing yet says how it is, and has nothing to report', async (t) => {
  const { visit, names, receipt, machine, events } = await scene(t);
  await visit();
  assert.deepEqual(await names(), ['0.json']);
  const { number, run, now, agentSays, host } = await receipt('0.json');
  assert.deepEqual([number, run, agentSays, host], [1, undefined, undefined, 'web']);
  assert.deepEqual([now?.versions.nix, now?.floor], ['nix-store (Nix) 2.34.8', undefined]);
  assert.deepEqual(await listOutbox(machine.floorDirectory), [], 'what was delivered waits no longer');
  assert.ok(events.some((e) => e.event === 'receipts-written'));
});

test('what waits, and what bundles can be encrypted to, is told by the agent’s word, within bounds', async (t) => {
  const { machine, receipt, place } = await scene(t);
  const wait = { path: 'a.tar', code: 'not-now', detail: 'the lathe runs', since: '2026-11-28T00:00:00Z' };
  await writeWaits(machine.requestsDirectory, {
    schema: 1,
    waits: Array.from({ length: 30 }, () => wait),
    more: 4,
  });
  const ageRecipients = [`age1${'q'.repeat(58)}`];
  const asked = { schema: 1, transaction: '0123456789ab', place } as const;
  await serveVisit(machine, { ...asked, findings: [], runs: [], ageRecipients });
  const told = await receipt('0.json');
  assert.deepEqual([told.waits?.waits.length, told.waits?.more, told.waits?.waits[0]], [20, 14, wait]);
  assert.deepEqual(told.ageRecipients, ageRecipients);
});

test('each run has its receipt and report, the newest with how the machine is; a second visit tells the newest only', async (t) => {
  const { visit, names, text, receipt, write, machine } = await scene(t);
  await write(
    { transaction: id(1), state: 'committed', sequence: 4 },
    { transaction: id(2), state: 'rolled-back', sequence: 5, code: 'health-failed' },
    { transaction: id(3), state: 'failed', sequence: undefined, code: 'io-error' },
    { transaction: id(4), state: 'deferred', sequence: 6, code: 'busy' },
    { transaction: id(5), state: 'switched', sequence: 7 },
  );
  await visit();
  const run3 = `run-${id(3)}`;
  assert.deepEqual(await names(), ['4.json', '4.txt', '5.json', '5.txt', `${run3}.json`, `${run3}.txt`]);
  const all = await Promise.all(['4.json', '5.json', `${run3}.json`].map(receipt));
  assert.deepEqual(
    all.map((r) => [r.number, r.run?.transaction, r.now !== undefined]),
    [
      [1, id(1), false],
      [2, id(2), false],
      [3, id(3), true],
    ],
  );
  assert.match(
    await text('5.txt'),
    /^ROLLED BACK, the previous system was restored\n.*\nCode: +health-failed\n/s,
  );
  assert.equal((await readLedger(machine.floorDirectory)).told.length, 3);
  await visit();
  assert.equal((await receipt(`${run3}.json`)).number, 4);
  assert.equal((await receipt('4.json')).number, 1);
});

test('of two runs of one sequence the later is told', async (t) => {
  const { visit, receipt, write } = await scene(t);
  await write(
    { transaction: id(1), state: 'failed', sequence: 4, code: 'io-error' },
    { transaction: id(2), state: 'committed', sequence: 4 },
    { transaction: id(3), state: 'committed', sequence: 5 },
  );
  await visit();
  const { number, run } = await receipt('4.json');
  assert.deepEqual([number, run?.transaction], [1, id(2)]);
  assert.equal((await receipt('5.json')).number, 2);
});

test('what the agent says is told as that, and what root knows of itself as root’s', async (t) => {
  const { visit, names, text, receipt, write, events } = await scene(t);
  await write({ transaction: id(1), state: 'committed', sequence: 4 });
  await write({ transaction: id(2), state: 'committed', sequence: 5 });
  const known = claim(1, { state: 'failed', sequence: 4 });
  await visit([known, claim(9)]);
  const { run, agentSays } = await receipt('4.json');
  assert.deepEqual(
    [run?.transaction, run?.state],
    [id(1), 'committed'],
    'what this visit brought comes last',
  );
  assert.deepEqual(
    agentSays?.map((c) => c.transaction),
    [id(9)],
  );
  const report = await text('4.txt');
  assert.match(report, /^DONE\n/);
  assert.match(
    report,
    /The agent’s report on bundles root has not seen:\n {2}mail\.tar: refused \(wrong-host\): no\n$/,
  );
  assert.ok((await names()).includes('5.txt'));
  assert.ok(events.some((e) => e.event === 'medium-may-go'));
});

test('where root has taken nothing, but the agent has seen something, there is a report of that alone', async (t) => {
  const { visit, names, text } = await scene(t);
  await visit([claim(9)]);
  assert.deepEqual(await names(), ['0.json', '0.txt']);
  assert.match(await text('0.txt'), /^The agent’s report/);
});

test('a code that this nixmaker does not know is left out of the report, not of the receipt', async (t) => {
  const { visit, text, receipt, write } = await scene(t);
  await write(record({ transaction: id(1), state: 'failed', code: 'from-the-future', detail: 'why' }));
  await visit();
  assert.equal((await receipt('5.json')).run?.code, 'from-the-future');
  assert.match(await text('5.txt'), /^FAILED\n\nWhat: {9}why\n/);
});
