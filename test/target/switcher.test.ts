/**
 * What NixOS's own switcher and boot builder do, and a kinder one would not: checks for every verb, exit codes that tell half of it, a menu
 * that forgets, a builder that was cut off. Facts: nixpkgs, switch-to-configuration-ng and systemd-boot-builder.py (ADR 23).
 */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { offeredSystems } from '../machines/boot-menu.ts';
import { BootedMachines } from '../support/booted-machine.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const machines = new BootedMachines(await makeWorkshop());
const host = (motd: string, more = '') => `mkSystem { hostName = "web"; motd = "${motd}"; ${more} }`;
const stayed = { installed: 'a', default: 'a', runs: 'a', floor: 1 };

for (const operation of ['switch', 'boot'])
  test(`an inhibitor, which fails the check of every verb but boot, makes ${operation} wait for a restart`, async () => {
    const machine = await machines.make(`inhibited-${operation}`, { operation });
    const inhibited = (bus: string) => host(bus, `inhibitors = ''{"dbus":"${bus}"}'';`);
    const first = await machines.release('daemon', 30, inhibited('daemon'));
    await machine.does('boot', first);
    await machine.restart();
    assert.equal((await machine.does('agent')).state, 'committed');
    const receipt = await machine.does(operation, await machines.release('broker', 40, inhibited('broker')));
    assert.equal(receipt.state, 'pending', receipt.detail);
    assert.deepEqual(await machine.stands(), {
      installed: 'broker',
      default: 'broker',
      runs: 'daemon',
      floor: 31,
    });
  });

test('another check of the system that says no is still a no, and says which', async () => {
  const machine = await machines.make('other-check', { operation: 'switch' });
  const prelude = `if [ "\${1:-}" = check ]; then echo "the disk is not encrypted"; echo "Pre-switch check 'encryption' failed"; echo "Pre-switch checks failed" >&2; exit 1; fi`;
  const receipt = await machine.does(
    'switch',
    await machines.release('unencrypted', 30, host('unencrypted'), prelude),
  );
  assert.deepEqual([receipt.state, receipt.code], ['failed', 'check-failed']);
  assert.match(receipt.detail ?? '', /Pre-switch check 'encryption' failed/);
  assert.deepEqual(await machine.stands(), stayed);
});

test('exit 11 without the word for a held lock is a failed switch: it is not done over, and rolled back', async () => {
  const machine = await machines.make('exit-11', { operation: 'switch' });
  const prelude =
    'if [ "${1:-}" = switch ]; then echo x >>/boot/switches; echo "Unable to list users with logind: gone" >&2; exit 11; fi';
  const receipt = await machine.does(
    'switch',
    await machines.release('no-logind', 30, host('eleven'), prelude),
  );
  assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'activation-failed']);
  assert.match(receipt.detail ?? '', /not-finished \(exit 11\): Unable to list users with logind: gone/);
  assert.equal(await readFile(join(machine.target.root, 'boot/switches'), 'utf8'), 'x\n');
  assert.deepEqual(await machine.stands(), stayed);
});

test('exit 4 of units that failed does not hide an activation script that did', async () => {
  const machine = await machines.make('exit-4', { operation: 'switch' });
  const prelude = `trap 'code=$?; [ "$code" != 2 ] || exit 4' EXIT`;
  const release = await machines.release(
    'script',
    30,
    host('script', 'activationScript = "exit 3";'),
    prelude,
  );
  const receipt = await machine.does('switch', release);
  assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'activation-failed']);
  assert.match(receipt.detail ?? '', /activation-script-failed \(exit 4\): Failed to run activate script/);
  assert.deepEqual(await machine.stands(), stayed);
});

test('a menu that keeps one entry is no menu to go back by: the update is undone, with the way out', async () => {
  const machine = await machines.make('limit-1', { operation: 'switch' });
  const settings = join(machine.target.root, 'boot/builder.conf');
  await writeFile(settings, 'limit=1\n');
  const b = await machines.release('b', 10);
  const receipt = await machine.does('switch', b);
  assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'no-boot-entry']);
  assert.match(receipt.detail ?? '', /no longer has an entry for the system to go back to/);
  assert.deepEqual(await machine.stands(), stayed);
  await writeFile(settings, 'limit=2\n');
  const c = await machines.release('c', 20);
  assert.equal((await machine.does('switch', c)).state, 'committed');
});

test('a person goes back to a generation that is older than the menu is long: it is in the menu again', async () => {
  const machine = await machines.make('old-generation', { operation: 'switch' });
  for (const [name, sequence] of [
    ['b', 10],
    ['c', 20],
    ['d', 30],
  ] as const)
    assert.equal((await machine.does('switch', await machines.release(name, sequence))).state, 'committed');
  await writeFile(join(machine.target.root, 'boot/builder.conf'), 'limit=2\n');
  const back = await machine.target.verb('rollback', ['--to', '1', '--json']);
  assert.equal(back.code, 0, back.stdout + back.stderr);
  const { installed, default: starts, runs } = await machine.stands();
  assert.deepEqual([installed, starts, runs], ['a', 'a', 'a']);
  assert.equal((await offeredSystems(machine.target.root)).length, 2);
});

test('what a boot builder that was cut off has left stops no later one', async () => {
  const machine = await machines.make('cut-off-builder', { operation: 'switch' });
  const leftover = join(machine.target.root, 'boot/loader/loader.tmp');
  await writeFile(leftover, 'default nothing');
  const doctor = await machine.target.verb('doctor', ['--json']);
  assert.match(doctor.stdout, /loader\.tmp/);
  assert.equal((await machine.does('switch', await machines.release('b', 10))).state, 'committed');
  await assert.rejects(readFile(leftover));
});

test('a specialisation that is switched to does not become what is started next', async () => {
  const machine = await machines.make('variant', { operation: 'switch' });
  const variant = (motd: string) =>
    host(motd, `specialisation = { quiet = ${plainHost('web', `${motd}-quiet`)}; };`);
  assert.equal(
    (await machine.does('switch', await machines.release('v1', 30, variant('v1')))).state,
    'committed',
  );
  const program = '/nix/var/nix/profiles/system/specialisation/quiet/bin/switch-to-configuration';
  await machine.target.run([program, 'test']);
  assert.equal(
    (await machine.does('switch', await machines.release('v2', 40, variant('v2')))).state,
    'committed',
  );
  const { default: starts, runs } = await machine.stands();
  assert.deepEqual([starts, runs], ['v2', 'v2-quiet']);
});
