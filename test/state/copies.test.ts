/** What is kept in two copies: the keyring, and the list of what is held. And small files at their edges. */
import assert from 'node:assert/strict';
import { utimesSync, writeFileSync } from 'node:fs';
import { chmod, copyFile, mkdir, readdir, readFile, readlink, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { limits } from '../../src/core/limits.ts';
import { encodeKeyring } from '../../src/core/policy/keyring.ts';
import type { Receipt } from '../../src/core/run/receipt.ts';
import { withChecksum } from '../../src/state/checksummed.ts';
import { readHeldFile, writeHeldFile } from '../../src/state/held.ts';
import { takeMarksOfTheDead } from '../../src/state/in-hand.ts';
import { appendJournal, compactJournal, readJournal } from '../../src/state/journal.ts';
import { readKeyring, storeKeyring } from '../../src/state/keyring.ts';
import { isLockHeld } from '../../src/state/lock.ts';
import { outOfSight } from '../../src/state/put-aside.ts';
import { pruneReceipts, readReceipt, receiptState, saveReceipt } from '../../src/state/receipts.ts';
import { pair, temporaryFolder } from '../support/bundles.ts';
import { record } from '../support/root-machine.ts';

const keyring = (version: number): string =>
  encodeKeyring({
    ...{ schema: 1, version, hosts: ['web'], threshold: 1, roles: {} },
    trustedKeys: [pair.public],
  });

test('of a keyring’s copies the newer counts; one that is damaged is made up for, two are a fault', async (t) => {
  const folder = await temporaryFolder(t);
  const [a, b] = ['keyring.a', 'keyring.b'].map((name) => join(folder, name)) as [string, string];
  assert.equal(await readKeyring(folder), undefined);
  await storeKeyring(folder, keyring(3));
  assert.equal((await readKeyring(folder))?.version, 3);
  for (const [older, newer] of [
    [a, b],
    [b, a],
  ] as const) {
    await storeKeyring(folder, keyring(3));
    await copyFile(a, join(folder, 'kept'));
    await storeKeyring(folder, keyring(4));
    await copyFile(join(folder, 'kept'), older);
    assert.equal((await readKeyring(folder))?.version, 4, newer);
    await writeFile(newer, 'x');
    assert.equal((await readKeyring(folder))?.version, 3);
  }
  for (const path of [a, b]) await writeFile(path, 'x');
  await assert.rejects(readKeyring(folder), { code: 'state-corrupt', detail: /both copies of the keyring/ });
});

test('a keyring that a newer nixmaker stored in another form is no keyring of ours', async (t) => {
  const folder = await temporaryFolder(t);
  for (const copy of ['a', 'b'])
    await writeFile(join(folder, `keyring.${copy}`), withChecksum({ schema: 2, keyring: keyring(1) }));
  await assert.rejects(readKeyring(folder), { code: 'state-corrupt' });
});

test('of what is held the higher number counts, and nobody knows where both copies are damaged', async (t) => {
  const folder = await temporaryFolder(t);
  const release = (sequence: number) => ({ sequence, floor: sequence, since: 'x', because: 'x' });
  assert.deepEqual(await readHeldFile(folder), { number: 0, releases: [], isDamaged: false });
  for (const older of ['held.a', 'held.b']) {
    await writeHeldFile(folder, { number: 1, releases: [release(1)] });
    await copyFile(join(folder, 'held.a'), join(folder, 'kept'));
    await writeHeldFile(folder, { number: 2, releases: [release(1), release(2)] });
    await copyFile(join(folder, 'kept'), join(folder, older));
    assert.deepEqual(await readHeldFile(folder), {
      ...{ number: 2, releases: [release(1), release(2)], isDamaged: false },
    });
  }
  await writeFile(join(folder, 'held.a'), 'x');
  assert.equal((await readHeldFile(folder)).isDamaged, false);
  await writeFile(join(folder, 'held.b'), 'x');
  assert.deepEqual(await readHeldFile(folder), { number: 0, releases: [], isDamaged: true });
});

test('a lock that nobody has ever made is held by nobody', async (t) => {
  const folder = await temporaryFolder(t);
  assert.equal(await isLockHeld(folder), false);
  await writeFile(join(folder, 'lock'), '');
  assert.equal(await isLockHeld(folder), false);
});

test('a journal that was written under a strict umask can be read by the agent after the next line', async (t) => {
  const folder = await temporaryFolder(t);
  await appendJournal(folder, record());
  const mode = async () => (await stat(join(folder, 'journal'))).mode & 0o7777;
  for (const strict of [0o600, 0o640, 0o645, 0o755]) {
    await chmod(join(folder, 'journal'), strict);
    await appendJournal(folder, record());
    assert.equal(await mode(), 0o644, strict.toString(8));
  }
});

test('a journal that was read is not left open', async (t) => {
  const folder = await temporaryFolder(t);
  await appendJournal(folder, record());
  await readJournal(folder);
  const open = await Promise.all(
    (await readdir('/proc/self/fd')).map((fd) => readlink(`/proc/self/fd/${fd}`).catch(() => '')),
  );
  assert.ok(!open.some((path) => path.startsWith(folder)), open.join(' '));
});

test('of lines of a newer nixmaker the newest five hundred outlive a compaction', async (t) => {
  const folder = await temporaryFolder(t);
  const newer = (n: number) => withChecksum({ schema: 2, n });
  const filling = 'x'.repeat(limits.journalLineBytes - 100);
  const fill = Array.from(
    { length: Math.ceil(limits.journalBytes / limits.journalLineBytes) + 1 },
    () => `${filling}\n`,
  ).join('');
  const lines = Array.from({ length: 502 }, (_, n) => newer(n));
  await writeFile(join(folder, 'journal'), fill + lines.join(''));
  const { unreadable } = await readJournal(folder);
  await compactJournal(folder);
  const after = await readJournal(folder);
  // Two are gone for good: they are counted no more.
  assert.equal(after.unreadable, unreadable - 2);
  assert.ok((await stat(join(folder, 'journal'))).size < limits.journalBytes);
});

test('a name that is no mark of ours names no process', async (t) => {
  const folder = await temporaryFolder(t);
  await mkdir(join(folder, 'in-hand'));
  await writeFile(join(folder, 'in-hand', 'x.json'), '{}');
  assert.deepEqual(await takeMarksOfTheDead(folder), []);
  assert.deepEqual(await readdir(join(folder, 'in-hand')), ['x.json']);
});

test('what is out of sight already is out of sight', async (t) => {
  const folder = await temporaryFolder(t);
  assert.equal(await outOfSight(folder, Buffer.from('gone')), true);
  await writeFile(join(folder, 'file'), '');
  await mkdir(join(folder, 'empty'));
  await mkdir(join(folder, 'full/of'), { recursive: true });
  for (const name of ['file', 'empty', 'full'])
    assert.equal(await outOfSight(folder, Buffer.from(name)), true);
  assert.match((await readdir(folder)).join(' '), /^\.put-aside-[0-9a-f]{16}$/);
  // A folder that is none: nothing can be done about its names.
  await writeFile(join(folder, 'plain'), '');
  assert.equal(await outOfSight(join(folder, 'plain'), Buffer.from('x')), false);
});

const receipt = (transaction: string) => ({ transaction, state: 'committed' }) as unknown as Receipt;

test('of receipts without a run the newest hundred stay, once there are too many, and of the future none counts as new', async (t) => {
  const folder = await temporaryFolder(t);
  const id = (n: number) => String(n).padStart(12, '0');
  await mkdir(join(folder, 'receipts'));
  const path = (n: number) => join(folder, 'receipts', `${id(n)}.json`);
  for (let n = 0; n < limits.receipts; n++) writeFileSync(path(n), '{}');
  const now = Date.now() / 1000;
  // All of them are older than the hundred of the last hour, but for two from before the clock was set back.
  for (let n = 0; n < limits.receipts; n++)
    utimesSync(path(n), 0, now - (n >= 1 && n <= 100 ? 60 : 7200) - n);
  for (const n of [200, 201]) utimesSync(path(n), 0, now + 86_400);
  await appendJournal(folder, record({ transaction: id(300) }));
  await writeFile(join(folder, 'receipts', 'x.tmp'), '');
  await pruneReceipts(folder);
  const names = async () => (await readdir(join(folder, 'receipts'))).sort();
  assert.equal((await names()).length, limits.receipts + 1, 'as many as there may be all stay');
  writeFileSync(path(limits.receipts), '{}');
  utimesSync(path(limits.receipts), 0, now - 9000);
  await pruneReceipts(folder);
  const kept = Array.from({ length: 100 }, (_, n) => `${id(n + 1)}.json`);
  assert.deepEqual(await names(), [...kept, `${id(300)}.json`, 'x.tmp']);
});

test('a receipt that is damaged has no state, and can’t be read', async (t) => {
  const folder = await temporaryFolder(t);
  assert.equal(await receiptState(folder, 'x'), undefined);
  assert.equal(await readReceipt(folder, 'x'), undefined);
  const path = await saveReceipt(folder, receipt('x'));
  assert.deepEqual(
    [await receiptState(folder, 'x'), (await readReceipt(folder, 'x'))?.state],
    ['committed', 'committed'],
  );
  assert.equal(await readFile(path, 'utf8'), `${JSON.stringify(receipt('x'), null, 2)}\n`);
  assert.equal((await stat(path)).mode & 0o7777, 0o644);
  await writeFile(path, '{');
  assert.equal(await receiptState(folder, 'x'), undefined);
  await assert.rejects(readReceipt(folder, 'x'), { code: 'state-corrupt', detail: `${path} is damaged` });
});
