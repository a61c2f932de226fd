/** A verb by hand and its terminal: what has begun to change the machine goes on to its end, and what has not ends with nothing done. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startByHand } from '../machines/by-hand.ts';
import { main } from '../machines/compiled.ts';
import type { Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { parse, Targets, take } from '../support/targets.ts';

const shop = await makeWorkshop();
const targets = new Targets(shop);

/** Stands still in a verb of its switch-to-configuration for as long as /run/hold-VERB is there. */
const held = `
if [ -e "/run/hold-\${1:-}" ]; then
  echo > "/run/held-$1"
  while [ -e "/run/hold-$1" ]; do sleep 0.05; done
fi`;
const release = (name: string, sequence: number, more = '') =>
  shop.bundle(name, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence)],
    switchPrelude: `${held}\n${more}`,
  });
const good = await release('held-good', 5);
const bad = await release('held-bad', 7, 'if [ "${1:-}" = switch ]; then exit 2; fi');

/** Starts a verb by hand, which then stands still in that verb of the system’s. */
async function startHeld(target: Target, verb: string, args: readonly string[]) {
  const file = (word: string) => join(target.root, 'run', `${word}-${verb}`);
  await rm(file('held'), { force: true });
  await writeFile(file('hold'), '');
  const [name = '', ...more] = args;
  const job = startByHand(target, [
    ...[process.execPath, main, name, '--settings', target.settingsFile, '--json'],
    ...more,
  ]);
  let isOver = false;
  void job.ended.then(() => {
    isOver = true;
  });
  while (!existsSync(file('held'))) {
    if (isOver) assert.fail((await job.ended).stderr);
    await sleep(20);
  }
  return { ...job, goOn: () => rm(file('hold')) };
}

interface Seen {
  readonly standing?: { readonly state: string; readonly source: string };
  readonly last: { readonly state: string; readonly code?: string };
}
const statusOf = async (target: Target) =>
  JSON.parse((await target.verb('status', ['--json'])).stdout) as Seen;

test('once anything was changed no signal of a terminal ends a switch, nor what it has started', async () => {
  const { target, one } = await targets.running();
  const switching = await startHeld(target, 'switch', ['switch', '--tarball', good]);
  assert.equal((await statusOf(target)).standing, undefined, 'somebody is at work');
  for (const name of ['SIGINT', 'SIGHUP', 'SIGTERM', 'SIGINT'] as const) switching.signal(name);
  await switching.goOn();
  const switched = await switching.ended;
  assert.equal(switched.code, 0, switched.stderr);
  assert.equal(parse(switched.stdout).state, 'committed');
  assert.match(switched.stderr, /SIGHUP: the machine is being changed; continuing/);
  assert.equal(await target.currentSystem(), parse(switched.stdout).toplevel);

  // One that fails is undone all the same.
  const failing = await startHeld(target, 'switch', ['switch', '--tarball', bad]);
  failing.signal('SIGHUP');
  await failing.goOn();
  const failed = await failing.ended;
  assert.equal(parse(failed.stdout).state, 'rolled-back', failed.stdout + failed.stderr);
  assert.equal(await target.currentSystem(), parse(switched.stdout).toplevel);

  // And so does a way back and forth.
  assert.equal((await target.verb('rollback')).code, 0);
  assert.equal(await target.currentSystem(), one.toplevel);
  const going = await startHeld(target, 'switch', ['rollback', '--to', '2']);
  going.signal('SIGINT');
  await going.goOn();
  const gone = await going.ended;
  assert.deepEqual([gone.code, parse(gone.stdout).state], [0, 'committed'], gone.stderr);
  assert.equal(await target.currentSystem(), parse(switched.stdout).toplevel);
});

test('before anything was changed it ends with 130: nothing is half done, and the same bundle can be taken', async () => {
  const { target, one } = await targets.running();
  const checking = await startHeld(target, 'check', ['switch', '--tarball', good]);
  checking.signal('SIGINT');
  const stopped = await checking.ended;
  await checking.goOn();
  assert.equal(stopped.code, 130, stopped.stderr);
  const { state, code } = parse(stopped.stdout);
  assert.deepEqual([state, code], ['deferred', 'stopped']);
  assert.equal(await target.currentSystem(), one.toplevel);
  assert.equal(await target.profile(), 'system-1-link');
  assert.deepEqual(await readdir(join(target.stateDirectory, 'roots')), []);
  assert.equal((await statusOf(target)).standing, undefined);

  // Where it waits for its input nothing has begun.
  const work = join(target.stateDirectory, 'work');
  await rm(work, { recursive: true, force: true });
  const waiting = startByHand(target, [
    ...[process.execPath, main, 'switch', '--settings', target.settingsFile, '--tarball', '-'],
  ]);
  while (!existsSync(work)) await sleep(20);
  waiting.signal('SIGTERM');
  assert.equal((await waiting.ended).code, 130);
  assert.equal((await take(target, 'switch', good)).state, 'committed');
});

test('a run that stands still with nobody at work is told of until it was brought to its end', async () => {
  const { target } = await targets.running();
  const switching = await startHeld(target, 'switch', ['switch', '--tarball', good]);
  switching.signal('SIGKILL');
  await switching.ended;
  const { standing, last } = await statusOf(target);
  assert.deepEqual([standing?.state, standing?.source, last.state], ['switched', good, 'switched']);
  const { stdout: said } = await target.verb('status');
  assert.match(said.replace(/\s+/g, ' '), /Stuck.* stopped at `switched`.*`nixmaker confirm`/);
  assert.doesNotMatch(said, /restored/);
  const doctor = await target.verb('doctor');
  assert.match(doctor.stdout, /^BAD +run +the run of[^→]*stopped at `switched`/m);
  assert.equal(doctor.code, 1);
  await switching.goOn();
  const ended = await target.verb('confirm', ['--json']);
  assert.equal(parse(ended.stdout).state, 'committed', ended.stdout + ended.stderr);
  assert.equal((await statusOf(target)).standing, undefined);
  assert.match((await target.verb('doctor')).stdout, /^ok +run +no stuck run/m);
});
