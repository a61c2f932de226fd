/** What `put --self` makes of a machine that does not simply run the newest release it took: one waits, or a person has gone back. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { lockOf } from '../../src/bundle/pool.ts';
import { inTurn } from '../../src/files/turn.ts';
import { holdProgram } from '../../src/process/run.ts';
import { startByHand } from '../machines/by-hand.ts';
import { main } from '../machines/compiled.ts';
import type { Target } from '../machines/sandboxed-target.ts';
import { BootedMachines } from '../support/booted-machine.ts';
import { makeWorkshop } from '../support/fleet.ts';

const shop = await makeWorkshop();
const machines = new BootedMachines(shop);
const [two, three, four] = await Promise.all([
  machines.release('passed-2', 10),
  machines.release('passed-3', 20),
  machines.release('passed-4', 30),
]);
const stick = join(shop.folder, 'stick');
await mkdir(stick);

const pass = (target: Target) =>
  target.nixmaker(['put', stick, '--self', '--plain-folder', '--settings', target.settingsFile]);

const time = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString().slice(11, 16);

test('newer releases that wait take nothing from the one that is confirmed meanwhile', async () => {
  const machine = await machines.make('waits', { window: { from: time(2), to: time(4) } });
  const { target } = machine;
  assert.equal((await machine.does('boot', two)).state, 'pending');
  for (const release of [three, four]) {
    await copyFile(release, join(target.inbox, 'web.tar'));
    assert.equal((await machine.does('agent')).state, 'staged');
  }
  await machine.restart();
  assert.equal((await machine.does('agent')).state, 'committed');
  const ran = await pass(target);
  assert.equal(ran.code, 0, ran.stderr);
  assert.match(ran.stdout, /^web +11 /m);
});

test('a release that a person went back from, or holds, is not passed on until they free it', async () => {
  const machine = await machines.make('held');
  const { target } = machine;
  assert.equal((await machine.does('switch', two)).state, 'committed');
  const back = await target.verb('rollback');
  assert.equal(back.code, 0, back.stderr);
  const ran = await pass(target);
  assert.equal(ran.code, 77, ran.stdout);
  assert.match(ran.stderr, /release 11 has been held since .*rolled back from it.*\(release-held\)/s);
  assert.equal((await target.verb('release', ['11'])).code, 0);
  assert.equal((await pass(target)).code, 0);
});

/** Starts it while another process is using the stick; it has compressed what it will copy once this returns. */
async function startWaiting(target: Target) {
  const verb = ['put', stick, '--self', '--plain-folder', '--settings', target.settingsFile];
  const job = startByHand(target, [process.execPath, main, ...verb]);
  while (!job.saidSoFar().includes('which is using')) {
    assert.ok(!(await Promise.race([job.ended.then(() => true), sleep(20, false)])), job.saidSoFar());
  }
  return job;
}

test('stopped or killed, it leaves no gigabytes in the folder for temporary files', async () => {
  const { target } = await machines.make('stopped');
  const left = () => readdir(join(target.root, 'tmp'));
  await mkdir(join(stick, 'nixmaker'), { recursive: true });
  await inTurn({ hold: holdProgram, file: lockOf(stick), verb: 'test' }, async () => {
    for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      const job = await startWaiting(target);
      assert.equal((await left()).length, 1);
      job.signal(name);
      assert.equal((await job.ended).code, 130, name);
      assert.deepEqual(await left(), [], name);
    }
    const job = await startWaiting(target);
    job.signal('SIGKILL');
    await job.ended;
    assert.equal((await left()).length, 1);
  });
  assert.equal((await pass(target)).code, 0);
  assert.deepEqual(await left(), [], 'the next run cleans up after one that was killed');
});
