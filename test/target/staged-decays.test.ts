/** A release is damaged on disk while it waits for its time: repaired if a bundle is at hand, otherwise dropped, and whole when it comes again. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readJournal } from '../../src/state/journal.ts';
import { exchangingMv } from '../machines/exchanging.ts';
import type { Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { released } from '../support/released.ts';
import { Targets } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);
const two = await targets.release('decays-2', '--sequence', '10');
const own = await exchangingMv(join(shop.folder, 'bin'));

const time = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);
const window = { from: time(2), to: time(4) };

async function once(target: Target) {
  const env = own === undefined ? {} : { env: { PATH: `${own}:${(target.env as { PATH: string }).PATH}` } };
  return target.verb('agent', ['--once'], env);
}

async function give(target: Target) {
  await copyFile(two, join(target.inbox, 'web.tar'));
  return once(target);
}

/** Staged, and one bit turned in a file that only the staged release has; root has seen it. */
async function decayed(): Promise<Target> {
  const { target } = await targets.running({ policy: { repair: 'automatic', window } });
  assert.equal((await give(target)).code, 0);
  const { paths } = await released(two);
  const etc = paths.find(({ path }) => path.endsWith('-etc-web'))?.path ?? '';
  const motd = join(target.root, etc, 'etc/motd');
  await writeFile(motd, (await readFile(motd, 'utf8')).replace('decays', 'DECAYS'));
  const ran = await target.verb('check-store');
  assert.match(ran.stderr, new RegExp(`"damaged":\\["${etc}"\\]`));
  return target;
}

async function open(target: Target): Promise<void> {
  const { window: _, ...others } = JSON.parse(await readFile(target.policyFile, 'utf8'));
  await writeFile(target.policyFile, JSON.stringify(others));
}

const runs = async (target: Target) =>
  (await target.run(['cat', '/run/current-system/etc/motd'])).stdout.trim();

test('repaired from the bundle that is still in the inbox, it is installed whole', async () => {
  const target = await decayed();
  assert.match((await once(target)).stderr, /"event":"path-repaired"/);
  await open(target);
  assert.equal((await once(target)).code, 0);
  assert.equal(await runs(target), 'decays-2');
});

test('with nothing to repair it from it is not installed, and comes whole with the next bundle', async () => {
  const target = await decayed();
  await rm(join(target.inbox, 'done'), { recursive: true });
  await open(target);
  const ran = await once(target);
  assert.equal(ran.code, 1, ran.stderr);
  assert.match(ran.stderr, /"event":"decayed-deleted"/);
  assert.equal(await runs(target), 'one');
  const { code, detail } = (await readJournal(target.stateDirectory)).records.at(-1) ?? {};
  assert.deepEqual([code, detail], ['staged-lost', 'damaged since, and not repaired: etc-web']);
  assert.equal((await give(target)).code, 0);
  assert.equal(await runs(target), 'decays-2');
});

test('where it still lies in a carrier’s folder, or was fetched to, the agent takes it once more by itself', async () => {
  const carried = join(shop.folder, 'carried');
  await mkdir(carried);
  await copyFile(two, join(carried, 'web.tar'));
  const { target } = await targets.running({ policy: { window, media: { folders: [carried] } } });
  assert.equal((await once(target)).code, 0);
  const { paths } = await released(two);
  const etc = paths.find(({ path }) => path.endsWith('-etc-web'))?.path ?? '';
  await rm(join(target.root, etc), { recursive: true });
  await open(target);
  const agent = await target.startAgent();
  const lost = await agent.waitFor(({ event }) => event === 'staged-done');
  assert.equal(lost.code, 'staged-lost');
  await agent.waitFor(({ event, state }) => event === 'bundle-done' && state === 'committed');
  await agent.stop();
  assert.equal(await runs(target), 'decays-2');
});
