/** What happens between `boot` and the commit: restarts, checks, a person who confirms or does not. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BootedMachines } from '../support/booted-machine.ts';
import { makeWorkshop } from '../support/fleet.ts';

const machines = new BootedMachines(await makeWorkshop());
const bundles = {
  b: await machines.release('b', 10),
  c: await machines.release('c', 20),
};

test('a system installed for the next start is committed when the machine has come up in it', async () => {
  const machine = await machines.make('simple');
  const receipt = await machine.does('boot', bundles.b);
  assert.equal(receipt.state, 'pending');
  assert.deepEqual(await machine.stands(), { installed: 'b', default: 'b', runs: 'a', floor: 1 });
  assert.match((await machine.does('boot', bundles.b)).detail ?? '', /waiting for the next start/);
  await assert.rejects(machine.runs('confirm'), /not-restarted/);
  await machine.restart();
  const [confirmed, ...more] = await machine.runs('agent');
  assert.deepEqual([confirmed?.state, more], ['committed', []]);
  assert.deepEqual(await machine.stands(), { installed: 'b', default: 'b', runs: 'b', floor: 11 });
  assert.match((await machine.does('boot', bundles.b)).detail ?? '', /already taken/);
  assert.match((await machine.target.verb('confirm')).stdout, /Nothing is waiting/);
});

test('one that comes up unwell is uninstalled, and not tried again', async () => {
  const health = {
    settle: 0,
    retries: 0,
    commands: [['sh', '-c', '! grep -q b /run/current-system/etc/motd']],
  };
  const machine = await machines.make('unwell', { health });
  await machine.does('boot', bundles.b);
  await machine.restart();
  const receipt = await machine.does('agent');
  assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'health-failed']);
  assert.match(receipt.notices?.join() ?? '', /still runs the system that was rolled back; restart/);
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'b', floor: 1 });
  assert.equal((await machine.target.run(['test', '-e', '/nix/var/nix/profiles/system-2-link'])).code, 1);
  await machine.restart();
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'a', floor: 1 });
  assert.equal((await machine.does('boot', bundles.b)).code, 'failed-before');
});

test('one that did not boot is uninstalled once the machine is up in another', async () => {
  const machine = await machines.make('not-booted');
  await machine.does('boot', bundles.b);
  await machine.restart(1);
  const receipt = await machine.does('agent');
  assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'boot-failed']);
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'a', floor: 1 });
  assert.equal((await machine.does('boot', bundles.c)).state, 'pending');
});

test('where a person has to confirm, `nixmaker confirm` keeps the system', async () => {
  const machine = await machines.make('confirmed', { boot: { confirm: 'manual' } });
  await machine.does('boot', bundles.b);
  await machine.restart();
  const asked = await machine.does('agent');
  assert.equal(asked.state, 'pending');
  assert.match(asked.detail ?? '', /Run `nixmaker confirm` within 900 seconds/);
  assert.equal((await machine.does('boot', bundles.c)).code, 'unconfirmed');
  assert.equal((await machine.does('confirm')).state, 'committed');
  assert.equal((await machine.stands()).floor, 11);
  assert.equal((await machine.does('boot', bundles.c)).state, 'pending');
});

test('a restart instead of a confirmation brings the previous system back', async () => {
  const machine = await machines.make('restarted', { boot: { confirm: 'manual' } });
  await machine.does('boot', bundles.b);
  await machine.restart();
  assert.equal((await machine.does('agent')).state, 'pending');
  await machine.restart();
  assert.equal((await machine.does('agent')).code, 'not-confirmed');
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'b', floor: 1 });
});

test('so does the end of the time to confirm', async () => {
  const machine = await machines.make('late', { boot: { confirm: 'manual', within: 0 } });
  await machine.does('boot', bundles.b);
  await machine.restart();
  assert.equal((await machine.does('agent')).state, 'pending');
  assert.equal((await machine.does('confirm')).code, 'not-confirmed', 'too late');
});

test('a newer bundle supersedes one that waits, and falls back to the last system that ran', async () => {
  const machine = await machines.make('superseded');
  await machine.does('boot', bundles.b);
  await machine.does('boot', bundles.c);
  const history = await machine.target.verb('history');
  assert.match(history.stdout, /11 +superseded/);
  assert.equal((await machine.does('boot', bundles.b)).code, 'sequence-older');
  await machine.restart(1);
  assert.equal((await machine.does('agent')).code, 'boot-failed');
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'a', floor: 1 });
});

test('what somebody installs by hand over a system that waits is left alone', async () => {
  const machine = await machines.make('by-hand');
  await machine.does('boot', bundles.b);
  await machine.target.run([
    'nix-env',
    '--profile',
    '/nix/var/nix/profiles/system',
    '--switch-generation',
    '1',
  ]);
  assert.equal((await machine.does('agent')).state, 'superseded');
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'b', runs: 'a', floor: 1 });
});
