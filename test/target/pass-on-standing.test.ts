/** What `put --self` makes of a machine that does not simply run the newest release it took: one waits, or a person has gone back. */
import assert from 'node:assert/strict';
import { copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
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
