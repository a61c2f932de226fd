/** Small files of a machine: marks of what is at work, how far it is, receipts that wait. */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  type Mark,
  readCutOffs,
  removeMark,
  startOf,
  takeMarksOfTheDead,
  writeCutOffs,
  writeMark,
} from '../../src/state/in-hand.ts';
import {
  addToOutbox,
  listOutbox,
  readFromOutbox,
  readLedger,
  removeFromOutbox,
  writeLedger,
} from '../../src/state/outbox.ts';
import { readProgress, secondsLeft, writeProgress } from '../../src/state/progress.ts';
import { temporaryFolder } from '../support/bundles.ts';

const mark = (changes: Partial<Mark>): Mark => ({
  schema: 1,
  bootId: 'b',
  pid: process.pid,
  started: '1',
  fingerprint: 'f',
  source: 'web.tar',
  ...changes,
});

test('marks of processes that are no more are taken away; one that lives keeps its own', async (t) => {
  const folder = await temporaryFolder(t);
  assert.deepEqual(await takeMarksOfTheDead(folder), []);
  const own = mark({ started: (await startOf(process.pid)) ?? '' });
  assert.match(own.started, /^\d+$/);
  await writeMark(folder, own);
  const dead = mark({ pid: 2 ** 22 + 1 });
  await writeMark(folder, dead);
  await writeFile(join(folder, 'in-hand', '7.json'), '{"schema": 1, "pi');
  assert.deepEqual(await takeMarksOfTheDead(folder), [dead]);
  assert.deepEqual(await readdir(join(folder, 'in-hand')), [`${process.pid}.json`]);
  await removeMark(folder, process.pid);
  await removeMark(folder, process.pid);
  assert.deepEqual(await readdir(join(folder, 'in-hand')), []);
});

test('another process that has the number of an earlier one is not taken for it', async (t) => {
  const folder = await temporaryFolder(t);
  await writeMark(folder, mark({ started: '0' }));
  assert.deepEqual(await takeMarksOfTheDead(folder), [mark({ started: '0' })]);
  assert.equal(await startOf(2 ** 22 + 1), undefined);
});

test('what was cut off is remembered, the newest sixty-four; where it is damaged nothing is known', async (t) => {
  const folder = await temporaryFolder(t);
  assert.deepEqual(await readCutOffs(folder), []);
  const many = Array.from({ length: 70 }, (_, i) => ({ fingerprint: String(i), source: 'x', times: 1 }));
  await writeCutOffs(folder, many);
  assert.deepEqual(await readCutOffs(folder), many.slice(6));
  await writeFile(join(folder, 'cut-off'), 'x');
  assert.equal(await readCutOffs(folder), undefined);
});

const progress = { transaction: 't', step: 'import', done: 1, expected: 4, seconds: 10 } as const;

test('how far a run is can be read as it was written, and is nothing where it is none', async (t) => {
  const folder = join(await temporaryFolder(t), 'run');
  assert.equal(await readProgress(folder), undefined);
  await writeProgress(folder, progress);
  assert.deepEqual(await readProgress(folder), progress);
  for (const text of ['', '{', '{"step": 1}', 'x'.repeat(1_000_000)]) {
    await writeFile(join(folder, 'progress.json'), text);
    assert.equal(await readProgress(folder), undefined);
  }
});

test('what is left is reckoned by bytes where they are counted, else by paths, and not too early', () => {
  assert.equal(secondsLeft(progress), 30);
  assert.equal(secondsLeft({ ...progress, bytes: 50, expectedBytes: 100 }), 10);
  assert.equal(secondsLeft({ ...progress, bytes: 50 }), 30);
  assert.equal(secondsLeft({ ...progress, expectedBytes: 100 }), 30);
  assert.equal(secondsLeft({ ...progress, bytes: 0, expectedBytes: 0 }), 30);
  assert.equal(secondsLeft({ ...progress, seconds: 0.9 }), undefined);
  assert.equal(secondsLeft({ ...progress, seconds: 1 }), 3);
  assert.equal(secondsLeft({ ...progress, done: 2, expected: 100 }), undefined);
  assert.equal(secondsLeft({ ...progress, done: 3, expected: 100 }), Math.round((10 * 0.97) / 0.03));
  assert.equal(secondsLeft({ ...progress, done: 4 }), 0);
});

test('which receipts were told is kept, the newest thousand; a damaged record is no empty one', async (t) => {
  const folder = await temporaryFolder(t);
  assert.deepEqual(await readLedger(folder), { schema: 1, number: 0, told: [] });
  const told = Array.from({ length: 1003 }, (_, i) => String(i));
  await writeLedger(folder, { schema: 1, number: 5, told });
  assert.deepEqual(await readLedger(folder), { schema: 1, number: 5, told: told.slice(3) });
  await writeFile(join(folder, 'receipts-told'), 'x');
  await assert.rejects(readLedger(folder), { code: 'state-corrupt' });
});

test('receipts wait until they are delivered, the newest sixty-four by number; what is newer than what was delivered stays', async (t) => {
  const folder = await temporaryFolder(t);
  assert.deepEqual(await listOutbox(folder), []);
  await mkdir(join(folder, 'outbox'));
  await writeFile(join(folder, 'outbox/x.tmp'), '');
  for (let n = 66; n > 0; n--) await addToOutbox(folder, `${n}.json`, String(n));
  const names = await listOutbox(folder);
  assert.equal(names.length, 64);
  // The two that were oldest when there were too many: 66 and 65 came first, and have the highest numbers.
  assert.ok(names.includes('66.json') && names.includes('65.json'));
  assert.deepEqual(names, [...names].sort());
  assert.equal(await readFromOutbox(folder, '66.json'), '66');
  await removeFromOutbox(folder, '66.json', 'older');
  assert.equal(await readFromOutbox(folder, '66.json'), '66');
  await removeFromOutbox(folder, '66.json', '66');
  assert.equal(await readFromOutbox(folder, '66.json'), undefined);
  assert.equal(await readFile(join(folder, 'outbox/x.tmp'), 'utf8'), '');
});
