import assert from 'node:assert/strict';
import { appendFile, chmod, readFile, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { holdProgram } from '../../src/process/run.ts';
import { readPolicy, readSettings } from '../../src/state/config.ts';
import { raiseFloor, readFloor, type StoredFloor } from '../../src/state/floor.ts';
import { appendJournal, failedDigests, type JournalRecord, readJournal } from '../../src/state/journal.ts';
import { acquireLock } from '../../src/state/lock.ts';
import { temporaryFolder } from '../support/bundles.ts';

const record = (changes: Partial<JournalRecord> = {}): JournalRecord => ({
  schema: 1,
  at: '2026-11-23T12:00:00Z',
  transaction: 'a1',
  state: 'discovered',
  source: 'web.tar',
  ...changes,
});

test('the journal gives back what was written, in order', async (t) => {
  const folder = await temporaryFolder(t);
  await appendJournal(folder, record());
  await appendJournal(folder, record({ state: 'verified', sequence: 7 }));
  const { records, unreadable } = await readJournal(folder);
  assert.deepEqual(records, [record(), record({ state: 'verified', sequence: 7 })]);
  assert.equal(unreadable, 0);
});

test('a journal torn anywhere in its last line loses that line only, and goes on', async (t) => {
  const folder = await temporaryFolder(t);
  await appendJournal(folder, record());
  const one = (await readFile(join(folder, 'journal'))).length;
  await appendJournal(folder, record({ state: 'verified' }));
  const two = (await readFile(join(folder, 'journal'))).length;
  for (let size = one + 1; size < two - 1; size += 7) {
    await truncate(join(folder, 'journal'), size);
    await appendJournal(folder, record({ state: 'refused' }));
    const { records, unreadable } = await readJournal(folder);
    assert.deepEqual(
      records.map((r) => r.state),
      ['discovered', 'refused'],
    );
    assert.equal(unreadable, 1);
    await truncate(join(folder, 'journal'), one);
    await appendJournal(folder, record({ state: 'verified' }));
  }
});

test('a changed letter in the journal is noticed', async (t) => {
  const folder = await temporaryFolder(t);
  await appendJournal(folder, record({ source: 'genuine.tar' }));
  const text = await readFile(join(folder, 'journal'), 'utf8');
  await writeFile(join(folder, 'journal'), text.replace('genuine', 'Genuine'));
  assert.deepEqual(await readJournal(folder), { records: [], unreadable: 1 });
});

test('a manifest that failed is remembered until it is committed after all', () => {
  const manifestDigest = 'd'.repeat(64);
  const failed = record({ state: 'rolled-back', code: 'activation-failed', manifestDigest });
  assert.ok(failedDigests([failed]).has(manifestDigest));
  assert.ok(!failedDigests([failed, record({ state: 'committed', manifestDigest })]).has(manifestDigest));
  assert.ok(
    !failedDigests([record({ state: 'failed', code: 'io-error', manifestDigest })]).has(manifestDigest),
  );
});

const floor = (sequence: number): StoredFloor => ({
  schema: 1,
  sequence,
  manifestDigest: 'd'.repeat(64),
  createdAt: '2026-11-23T12:00:00Z',
});

test('the floor rises and never falls', async (t) => {
  const folder = await temporaryFolder(t);
  assert.deepEqual(await readFloor(folder), { floor: undefined, damaged: 0 });
  await raiseFloor(folder, floor(5));
  await raiseFloor(folder, floor(3));
  assert.equal((await readFloor(folder)).floor?.sequence, 5);
});

test('the floor survives the loss or damage of either copy, and says when both are damaged', async (t) => {
  const folder = await temporaryFolder(t);
  await raiseFloor(folder, floor(5));
  await writeFile(join(folder, 'floor.a'), '');
  assert.equal((await readFloor(folder)).floor?.sequence, 5);
  await raiseFloor(folder, floor(6));
  await appendFile(join(folder, 'floor.b'), 'x');
  assert.equal((await readFloor(folder)).floor?.sequence, 6);
  await writeFile(join(folder, 'floor.a'), 'damaged');
  assert.deepEqual(await readFloor(folder), { floor: undefined, damaged: 2 });
});

test('of two copies from before and after a power cut the higher counts', async (t) => {
  const folder = await temporaryFolder(t);
  await raiseFloor(folder, floor(5));
  const old = await readFile(join(folder, 'floor.b'));
  await raiseFloor(folder, floor(6));
  await writeFile(join(folder, 'floor.b'), old);
  assert.equal((await readFloor(folder)).floor?.sequence, 6);
});

test('the lock is one’s alone, and free again once released', async (t) => {
  const folder = await temporaryFolder(t);
  const held = await acquireLock(holdProgram, folder);
  await assert.rejects(acquireLock(holdProgram, folder), /busy/);
  await held.release();
  await (await acquireLock(holdProgram, folder)).release();
});

test('a missing flock is not mistaken for another nixmaker', async (t) => {
  const folder = await temporaryFolder(t);
  await assert.rejects(
    acquireLock((_program, args) => holdProgram('no-such-flock', args), folder),
    /io-error/,
  );
});

const good = { schema: 1, host: 'web', operation: 'switch', trustedKeys: ['k:x'] };

async function policyOf(folder: string, text: string, mode = 0o644) {
  const path = join(folder, 'policy.json');
  await writeFile(path, text);
  await chmod(path, mode);
  return readPolicy(path, process.getuid?.() ?? 0);
}

test('a policy has safe defaults', async (t) => {
  const policy = await policyOf(await temporaryFolder(t), JSON.stringify(good));
  assert.equal(policy.threshold, 1);
  assert.equal(policy.realise, 'never-build');
});

for (const [what, text, pattern] of [
  [
    'a mistyped key names the right one and the line',
    '{\n "schema": 1,\n "host": "web",\n "operatoin": "switch",\n "trustedKeys": ["k:x"]\n}',
    /did you mean “operation”/,
  ],
  [
    'a key given twice',
    '{"schema":1,"host":"web","host":"mail","operation":"switch","trustedKeys":["k:x"]}',
    /“host” appears twice/,
  ],
  [
    'a wrong value names its line',
    '{\n "schema": 1,\n "host": "web",\n "operation": "explode",\n "trustedKeys": ["k:x"]\n}',
    /line 4, operation/,
  ],
  ['no keys at all', JSON.stringify({ ...good, trustedKeys: [] }), /trustedKeys/],
  ['a threshold nobody can meet', JSON.stringify({ ...good, threshold: 2 }), /threshold/],
  [
    'a key’s misspelt use',
    JSON.stringify(
      { ...good, trustedKeys: ['k:x', { key: 'l:y', notbefore: '2026-01-01T00:00:00Z' }] },
      null,
      1,
    ),
    /line 9, trustedKeys\.1\.notbefore.*did you mean “notBefore”/,
  ],
  ['a key that is a number', JSON.stringify({ ...good, trustedKeys: [7] }), /trustedKeys\.0: must be a key/],
  [
    'a role nobody has',
    JSON.stringify({ ...good, roles: { approve: 1 } }),
    /roles\.approve: requires more keys/,
  ],
  [
    'a key whose time is over before it begins',
    JSON.stringify({
      ...good,
      trustedKeys: [{ key: 'k:x', notBefore: '2026-02-01T00:00:00Z', notAfter: '2026-01-01T00:00:00Z' }],
    }),
    /notAfter: is not after/,
  ],
  [
    'a misspelt limit',
    '{"schema":1,"host":"web","operation":"switch","trustedKeys":["k:x"],"limits":{"closureByte":1}}',
    /did you mean “closureBytes”/,
  ],
  ['something that is not JSON', 'operation: switch', /policy-malformed/],
  ['a comment', '{ /* x */ "schema": 1 }', /policy-malformed/],
  ['an empty file', '', /policy-malformed/],
] as const) {
  test(`${what}: the policy is refused`, async (t) => {
    await assert.rejects(policyOf(await temporaryFolder(t), text), (error: Error) => {
      assert.match(error.message, /^policy-malformed/);
      assert.match(error.message, pattern);
      return true;
    });
  });
}

test('a near miss of a key is answered with the key', async (t) => {
  await assert.rejects(
    policyOf(await temporaryFolder(t), JSON.stringify({ ...good, treshold: 1 })),
    /did you mean “threshold”/,
  );
});

test('a policy that group or others can write is refused', async (t) => {
  const folder = await temporaryFolder(t);
  for (const mode of [0o664, 0o646])
    await assert.rejects(policyOf(folder, JSON.stringify(good), mode), {
      code: 'policy-unsafe',
      detail: new RegExp(`is writable by its group or by everyone \\(mode ${mode.toString(8)}\\)$`),
    });
});

test('a policy that others can only read or run is taken', async (t) => {
  const folder = await temporaryFolder(t);
  for (const mode of [0o644, 0o645, 0o755, 0o600, 0o444])
    assert.equal((await policyOf(folder, JSON.stringify(good), mode)).host, 'web');
});

test('a policy of another user is refused', async (t) => {
  const path = join(await temporaryFolder(t), 'policy.json');
  await writeFile(path, JSON.stringify(good), { mode: 0o644 });
  const { chown } = await import('node:fs/promises');
  await chown(path, 12345, 12345);
  await assert.rejects(
    readPolicy(path, process.getuid?.() ?? 0),
    /policy-unsafe: .* belongs to user 12345, not to root$/,
  );
});

test('a missing policy is told apart', async (t) => {
  await assert.rejects(
    readPolicy(join(await temporaryFolder(t), 'none'), 0),
    /policy-missing: there is no file .*none$/,
  );
});

test('settings need no file in the default place, and one where one was named', async (t) => {
  const path = join(await temporaryFolder(t), 'settings.json');
  assert.equal((await readSettings(path, { required: false })).inbox, '/var/lib/nixmaker/inbox');
  await assert.rejects(readSettings(path, { required: true }), /settings-malformed/);
});
