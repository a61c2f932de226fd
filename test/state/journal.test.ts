/** A journal that is damaged, cut off, read while it is written, or flooded. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { appendFile, mkdir, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { limits } from '../../src/core/limits.ts';
import { withChecksum } from '../../src/state/checksummed.ts';
import {
  appendJournal,
  compactJournal,
  failedDigests,
  type JournalRecord,
  lastOfEach,
  readJournal,
} from '../../src/state/journal.ts';
import { pruneReceipts } from '../../src/state/receipts.ts';
import { temporaryFolder } from '../support/bundles.ts';

const record = (changes: Partial<JournalRecord> = {}): JournalRecord => ({
  schema: 1,
  at: '2026-11-23T12:00:00Z',
  transaction: 'a1',
  state: 'discovered',
  source: 'web.tar',
  ...changes,
});

const digest = (n: number) => n.toString(16).padStart(64, '0');
const sizeOf = async (folder: string) => (await stat(join(folder, 'journal'))).size;

/** Runs of two lines each, as a flood leaves them. */
function flood(count: number, of: (n: number) => Partial<JournalRecord>): string {
  return Array.from({ length: count }, (_, n) => {
    const transaction = n.toString(16).padStart(12, '0');
    const known = { transaction, ...of(n) };
    return withChecksum(record({ transaction })) + withChecksum(record({ state: 'refused', ...known }));
  }).join('');
}

const refused = (n: number) => ({ source: `bundle-${n}.tar`, code: 'sequence-older', sequence: n + 1 });

/** With a right checksum: one is no signature, and whoever may write to the file can make it. */
function checksummed(bytes: Buffer): Buffer {
  const checksum = createHash('sha256').update(bytes).digest('hex').slice(0, 16);
  return Buffer.concat([Buffer.from(`${checksum} `), bytes]);
}

for (const [what, line] of [
  ['zeros, as a file system leaves them after a power cut', Buffer.alloc(3 * 1024 * 1024)],
  ['a line without an end', Buffer.alloc(3 * 1024 * 1024, 'x')],
  ['garbage', Buffer.from([0xff, 0xfe, 0x0a, 0x80, 0x0a, 0x00])],
  ['a right checksum before what is no JSON', checksummed(Buffer.from('{ "schema": 1,'))],
  ['a right checksum before half a letter', checksummed(Buffer.from([0x22, 0xc3, 0x22]))],
  ['a right checksum before nothing', checksummed(Buffer.alloc(0))],
  ['a record that lacks what every record has', Buffer.from(withChecksum({ schema: 1 }))],
  ['a newer nixmaker’s record', Buffer.from(withChecksum({ ...record(), schema: 2 }))],
  ['JSON that is no object', Buffer.from(withChecksum(null))],
] as const) {
  test(`${what}: the line is passed over and told, those around it are read`, async (t) => {
    const folder = await temporaryFolder(t);
    await appendJournal(folder, record());
    await appendFile(join(folder, 'journal'), line);
    await appendJournal(folder, record({ state: 'verified' }));
    const { records, unreadable } = await readJournal(folder);
    assert.deepEqual(records, [record(), record({ state: 'verified' })]);
    assert.ok(unreadable >= 1);
  });
}

test('a journal within its bound is left as it is', async (t) => {
  const folder = await temporaryFolder(t);
  await compactJournal(folder);
  await appendJournal(folder, record());
  const before = await readFile(join(folder, 'journal'));
  await compactJournal(folder);
  assert.deepEqual(await readFile(join(folder, 'journal')), before);
});

test('ten thousand runs are counted, the newest are kept, and what is needed of the others', async (t) => {
  const folder = await temporaryFolder(t);
  const taken = { state: 'committed', operation: 'switch', generation: 4, sequence: 40 } as const;
  const of = (n: number): Partial<JournalRecord> => {
    if (n === 7)
      return { state: 'failed', code: 'activation-failed', sequence: 50, manifestDigest: digest(7) };
    if (n === 8) return { ...taken, manifestDigest: digest(8), createdAt: '2026-11-01T00:00:00Z' };
    return refused(n);
  };
  await writeFile(join(folder, 'journal'), flood(10_000, of));
  await appendFile(join(folder, 'journal'), 'damaged\n');
  await appendJournal(folder, record({ transaction: 'open', state: 'profile-set', bootId: 'b' }));
  await compactJournal(folder);
  assert.ok((await sizeOf(folder)) <= limits.journalBytes, String(await sizeOf(folder)));
  const { records, unreadable, earlier } = await readJournal(folder);
  const runs = lastOfEach(records);
  assert.ok(runs.length > 100 && runs.length <= limits.journalRuns + 3, String(runs.length));
  assert.equal(unreadable, 1);
  assert.equal(runs.at(-1)?.transaction, 'open');
  assert.equal(runs.at(-2)?.transaction, (9999).toString(16).padStart(12, '0'), 'the newest');
  assert.deepEqual([...failedDigests(records)], [digest(7)]);
  const committed = runs.find((r) => r.state === 'committed');
  assert.deepEqual([committed?.sequence, committed?.createdAt], [40, '2026-11-01T00:00:00Z']);
  const counted = Object.values(earlier?.states ?? {}).reduce((a, b) => a + b, 0);
  assert.equal(counted + runs.length, 10_001, 'no run is lost to the count');
  assert.deepEqual(Object.keys(earlier?.codes ?? {}), ['sequence-older']);

  const once = await readFile(join(folder, 'journal'));
  await appendFile(join(folder, 'journal'), flood(5000, refused));
  await compactJournal(folder);
  const again = await readJournal(folder);
  assert.deepEqual([...failedDigests(again.records)], [digest(7)]);
  assert.ok((await sizeOf(folder)) < 2 * once.length);
  const total = Object.values(again.earlier?.states ?? {}).reduce((a, b) => a + b, 0);
  assert.ok(total > counted);
});

test('what a newer nixmaker has written stays for when it is installed again', async (t) => {
  const folder = await temporaryFolder(t);
  const newer = withChecksum({ ...record(), schema: 2, news: true });
  await writeFile(join(folder, 'journal'), newer + flood(6000, refused));
  await compactJournal(folder);
  assert.ok((await readFile(join(folder, 'journal'), 'utf8')).includes(newer));
});

test('the same bundle that waits or is refused again and again is one line of history', async (t) => {
  const folder = await temporaryFolder(t);
  const waits = () => ({ state: 'deferred', code: 'outside-window', manifestDigest: digest(1) }) as const;
  const taken = { state: 'committed', generation: 2, operation: 'switch', sequence: 1 } as const;
  const first = withChecksum(record({ transaction: 'good', manifestDigest: digest(2), ...taken }));
  await writeFile(join(folder, 'journal'), first + flood(4000, waits));
  await compactJournal(folder);
  const { records, earlier } = await readJournal(folder);
  assert.deepEqual(
    lastOfEach(records).map((r) => r.state),
    ['committed', 'deferred'],
  );
  assert.deepEqual(earlier?.states, { deferred: 3999 });
});

const compacting = `
  import { readFile, writeFile } from 'node:fs/promises';
  const { compactJournal } = await import(process.argv[1]);
  const text = await readFile(process.argv[3]);
  process.stdout.write('ready');
  for (;;) {
    await compactJournal(process.argv[2]);
    await writeFile(process.argv[2] + '/next', text);
    const { renameSync } = await import('node:fs');
    renameSync(process.argv[2] + '/next', process.argv[2] + '/journal');
  }`;

test('killed at any moment, the old journal or the new one is there; who reads meanwhile sees one of them', async (t) => {
  const folder = await temporaryFolder(t);
  // Few and long, for speed.
  const text = flood(300, (n) => ({ ...refused(n), detail: 'x'.repeat(4000) }));
  const source = join(folder, 'source');
  await writeFile(source, text);
  await writeFile(join(folder, 'journal'), text);
  const whole = (await readJournal(folder)).records.length;
  await compactJournal(folder);
  const compacted = (await readJournal(folder)).records.length;
  assert.ok(compacted < whole);
  const seen = new Set<number>();
  for (let kill = 0; kill < 8; kill++) {
    const module = new URL('../../src/state/journal.ts', import.meta.url).pathname;
    const child = spawn(process.execPath, ['--input-type=module', '-e', compacting, module, folder, source]);
    await once(child.stdout, 'data');
    for (let look = 0; look <= kill; look++) {
      const { records, unreadable } = await readJournal(folder);
      assert.equal(unreadable, 0);
      seen.add(records.length);
    }
    child.kill('SIGKILL');
    await once(child, 'exit');
    const { records, unreadable } = await readJournal(folder);
    assert.equal(unreadable, 0);
    seen.add(records.length);
  }
  for (const count of seen) assert.ok(count === whole || count === compacted, String(count));
  await writeFile(join(folder, 'journal'), text);
  await compactJournal(folder);
  assert.deepEqual(
    (await readdir(folder)).filter((n) => n.includes('part')),
    [],
    'nothing is left beside it',
  );
});

test('of receipts those of the journal’s runs stay, and the newest of the others', async (t) => {
  const folder = await temporaryFolder(t);
  await appendJournal(folder, record({ state: 'refused' }));
  await mkdir(join(folder, 'receipts'));
  const count = limits.receipts + 50;
  for (let n = 0; n < count; n++) {
    const path = join(folder, 'receipts', `${n}.json`);
    await writeFile(path, '{}');
    await utimes(path, n, n);
  }
  await writeFile(join(folder, 'receipts/a1.json'), '{}');
  await utimes(join(folder, 'receipts/a1.json'), 0, 0);
  await pruneReceipts(folder);
  const left = await readdir(join(folder, 'receipts'));
  assert.equal(left.length, 101);
  assert.ok(left.includes('a1.json') && left.includes(`${count - 1}.json`) && !left.includes('0.json'));
});
