/** Files that end the agent itself: whatever makes it crash, the good bundle behind is taken. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readJournal } from '../../src/state/journal.ts';
import { killedRun } from '../machines/compiled.ts';
import type { Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { Targets } from '../support/targets.ts';

const targets = new Targets(await makeWorkshop());
const poison = await targets.release('poison', '--sequence', '5');
const good = await targets.release('good', '--sequence', '9');

/** An agent that is killed in the middle of its work on the first file. */
async function killed(target: Target, [when, state]: readonly string[], bootId = 'this'): Promise<void> {
  const ran = await target.run([
    process.execPath,
    killedRun,
    target.settingsFile,
    when ?? '',
    state ?? '',
    bootId,
  ]);
  assert.notEqual(ran.code, 0, 'it was killed');
  assert.equal(ran.stderr, '');
}

async function once(target: Target): Promise<string[]> {
  const ran = await target.verb('agent', ['--once', '--json']);
  assert.doesNotMatch(ran.stderr, /"event":"fault"/);
  const { records } = await readJournal(target.stateDirectory);
  return records.filter((r) => r.code !== undefined || r.state === 'committed').map((r) => r.code ?? r.state);
}

const inRun = ['after', 'verified'];
const inLook = ['looking'];
const times = async (n: number, work: () => Promise<void>) => {
  for (let i = 0; i < n; i++) await work();
};

for (const [what, where] of [
  ['a run', inRun],
  ['a look at a file', inLook],
] as const)
  test(`where ${what} has been cut off three times, the file is set aside, told, and the good one behind it taken`, async () => {
    const target = await targets.fresh();
    await copyFile(poison, join(target.inbox, 'a-poison.tar'));
    await copyFile(good, join(target.inbox, 'b-good.tar'));
    await times(3, () => killed(target, where));
    const ended = (await once(target)).filter((e) => e !== 'interrupted');
    // What is good does not wait for what is not.
    assert.deepEqual(ended, ['committed', 'cut-off-before']);
    const report = await readFile(join(target.inbox, 'refused/a-poison.tar.txt'), 'utf8');
    assert.match(
      report,
      /^REFUSED\n.*died while working on it, several times in a row.*3 times in a row.*Next: +.*touch/s,
    );
    assert.match((await target.verb('status')).stdout, /refused \(cut-off-before\)/);
    assert.deepEqual(await readdir(join(target.inbox, 'done')), ['b-good.tar', 'b-good.tar.txt']);
    await target.close();
  });

test('no file is blamed for a power cut, nor for what was before a run that has ended', async () => {
  const target = await targets.fresh();
  const dropped = join(target.inbox, 'a.tar');
  await copyFile(poison, dropped);
  for (const boot of ['one', 'two', 'three', 'four']) await killed(target, inRun, boot);
  await times(2, () => killed(target, inRun));
  assert.ok((await once(target)).includes('committed'), 'two times are no three');
  await copyFile(join(target.inbox, 'done/a.tar'), dropped);
  await utimes(dropped, 1000, 1000);
  await times(2, () => killed(target, inLook));
  await once(target);
  await copyFile(poison, dropped);
  await utimes(dropped, 1000, 1000);
  await times(2, () => killed(target, inLook));
  assert.equal((await once(target)).includes('cut-off-before'), false);
  await target.close();
});

test('a file that was set aside stays so after a restart, wherever it comes from, until it has another date', async () => {
  const target = await targets.fresh();
  const dropped = join(target.inbox, 'a.tar');
  await copyFile(poison, dropped);
  await utimes(dropped, 1000, 1000);
  await times(3, () => killed(target, inRun));
  for (const folder of ['again', 'and-again']) {
    assert.equal((await once(target)).at(-1), 'cut-off-before');
    await rm(join(target.inbox, 'refused'), { recursive: true });
    await mkdir(join(target.inbox, folder));
    await copyFile(poison, join(target.inbox, folder, 'b.tar'));
    await utimes(join(target.inbox, folder, 'b.tar'), 1000, 1000);
  }
  await utimes(join(target.inbox, 'and-again', 'b.tar'), 2000, 2000);
  assert.equal((await once(target)).at(-1), 'committed');
  await target.close();
});

test('in a folder that a carrier fills the next good one is taken, and the file stays where it lies', async () => {
  const target = await targets.fresh();
  const carried = join(target.root, 'carried');
  await mkdir(carried);
  const policy = JSON.parse(await readFile(target.policyFile, 'utf8')) as Record<string, unknown>;
  await writeFile(target.policyFile, JSON.stringify({ ...policy, media: { folders: [carried] } }));
  await copyFile(poison, join(carried, 'poison.tar'));
  await times(3, () => killed(target, inLook));
  await copyFile(good, join(carried, 'good.tar'));
  const ended = await once(target);
  assert.deepEqual(ended, ['committed', 'cut-off-before']);
  assert.deepEqual((await readdir(carried)).filter((n) => n.endsWith('.tar')).sort(), [
    'good.tar',
    'poison.tar',
  ]);
  await target.close();
});
