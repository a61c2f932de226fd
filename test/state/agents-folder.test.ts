/** What root reads of an agent's own: its journal, its progress, its lock, its key. The agent may have been taken over. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { appendFile, mkdir, readdir, readFile, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { limits } from '../../src/core/limits.ts';
import { settingsParser } from '../../src/core/policy/settings.ts';
import { holdProgram } from '../../src/process/run.ts';
import { appendJournal, readAgentJournal, readJournal } from '../../src/state/journal.ts';
import { acquireForeignLock, acquireLock } from '../../src/state/lock.ts';
import { type Progress, readProgress, writeProgress } from '../../src/state/progress.ts';
import { settingsFor } from '../../src/target/machine/machine.ts';
import { temporaryFolder } from '../support/bundles.ts';

const progress: Progress = { transaction: 'a1', step: 'import', done: 1, expected: 2, seconds: 3 };
const record = { schema: 1, at: '2026-11-23T12:00:00Z', state: 'discovered', source: 'web.tar' } as const;

/** The agent's folder, and a file of root's. */
async function scene(t: TestContext) {
  const root = await temporaryFolder(t);
  const [folder, secret] = [join(root, 'agents'), join(root, 'secret')];
  await mkdir(folder);
  await writeFile(secret, 'secret');
  return { folder, secret };
}

const hostile = [
  ['a link', (path: string, secret: string) => symlink(secret, path)],
  ['a link to nothing', (path: string, secret: string) => symlink(`${secret}.new`, path)],
  ['a pipe', async (path: string) => void execFileSync('mkfifo', [path])],
  ['a folder', (path: string) => mkdir(path)],
] as const;

for (const [what, put] of hostile) {
  test(`${what} in the place of the agent’s journal is a line that can’t be read`, async (t) => {
    const { folder, secret } = await scene(t);
    await put(join(folder, 'journal'), secret);
    assert.deepEqual(await readAgentJournal(folder), { records: [], unreadable: 1 });
  });

  test(`${what} in the place of the agent’s progress says nothing`, async (t) => {
    const { folder, secret } = await scene(t);
    await put(join(folder, 'progress.json'), secret);
    assert.equal(await readProgress(folder), undefined);
  });

  test(`${what} where progress is written first is not written through`, async (t) => {
    const { folder, secret } = await scene(t);
    for (const name of ['progress.json.new', '.progress.json.part']) await put(join(folder, name), secret);
    await writeProgress(folder, progress).catch(() => undefined);
    assert.equal(await readFile(secret, 'utf8'), 'secret');
    assert.deepEqual((await readdir(join(folder, '..'))).sort(), ['agents', 'secret']);
  });

  test(`${what} in the place of the agent’s lock is nobody’s: nothing is opened or made for it`, async (t) => {
    const { folder, secret } = await scene(t);
    await put(join(folder, 'lock'), secret);
    assert.equal(await acquireForeignLock(holdProgram, folder), undefined);
    assert.deepEqual((await readdir(join(folder, '..'))).sort(), ['agents', 'secret']);
  });
}

test('progress that is too long to be any says nothing', async (t) => {
  const { folder } = await scene(t);
  await writeProgress(folder, progress);
  assert.deepEqual(await readProgress(folder), progress);
  await truncate(join(folder, 'progress.json'), 2 ** 40);
  assert.equal(await readProgress(folder), undefined);
});

test('of an agent’s journal the newest is read, of one’s own all', async (t) => {
  const { folder } = await scene(t);
  await appendJournal(folder, { ...record, transaction: 'old' });
  await truncate(join(folder, 'journal'), limits.agentJournalBytes);
  await appendFile(join(folder, 'journal'), '\n');
  await appendJournal(folder, { ...record, transaction: 'new' });
  const named = ({ records }: Awaited<ReturnType<typeof readJournal>>) => records.map((r) => r.transaction);
  assert.deepEqual(named(await readAgentJournal(folder)), ['new']);
  assert.deepEqual(named(await readJournal(folder)), ['old', 'new']);
});

test('the agent’s lock is held by whoever holds the file, and where there is none nothing is made', async (t) => {
  const { folder } = await scene(t);
  assert.equal(await acquireForeignLock(holdProgram, folder), undefined);
  assert.equal(await acquireForeignLock(holdProgram, join(folder, 'missing')), undefined);
  assert.deepEqual(await readdir(folder), []);
  const agents = await acquireLock(holdProgram, folder);
  await assert.rejects(acquireForeignLock(holdProgram, folder), {
    code: 'busy',
    detail: `${folder} is held by another nixmaker`,
  });
  await agents.release();
  const roots = await acquireForeignLock(holdProgram, folder);
  assert.ok(roots !== undefined);
  await assert.rejects(acquireLock(holdProgram, folder), {
    code: 'busy',
    detail: `${join(folder, 'lock')} is held by another nixmaker`,
  });
  await roots.release();
  await (await acquireLock(holdProgram, folder)).release();
});

test('what root writes, it writes below its own folder; a process that is both has one', () => {
  const settings = settingsParser.parse({});
  const roots = settingsFor(settings, 'root');
  for (const folder of [roots.stateDirectory, roots.runtimeDirectory])
    assert.match(folder, /^\/var\/lib\/nixmaker\/activation(\/|$)/);
  assert.deepEqual(settingsFor(settings, 'agent'), settings);
  assert.deepEqual(settingsFor(settings, 'direct'), settings);
});
