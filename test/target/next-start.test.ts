/** What a switch leaves to the next start, and what keeps a system from being installed at all. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asBootedMain } from '../machines/compiled.ts';
import { apart } from '../machines/program.ts';
import { BootedMachines, type Outcome } from '../support/booted-machine.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const machines = new BootedMachines(await makeWorkshop());
const bundles = {
  b: await machines.release('b', 10),
};

test('a switch across inhibitors is left to the next start, and the running system as it is', async () => {
  const host = (motd: string, inhibitors: string) =>
    `mkSystem { hostName = "web"; motd = "${motd}"; inhibitors = ''${inhibitors}''; }`;
  const machine = await machines.make('inhibited', { operation: 'switch' });
  const first = await machines.release('bus-1', 30, host('bus-1', '{"dbus":"daemon","x":1}'));
  const second = await machines.release('bus-2', 40, host('bus-2', '{"dbus":"broker","y":1}'));
  assert.equal((await machine.does('switch', first)).state, 'committed', 'the old system has no such key');
  const receipt = await machine.does('switch', second);
  assert.equal(receipt.state, 'pending');
  assert.match(receipt.notices?.join() ?? '', /it changes: dbus/);
  assert.deepEqual(await machine.stands(), {
    installed: 'bus-2',
    default: 'bus-2',
    runs: 'bus-1',
    floor: 31,
  });
  await machine.restart();
  assert.equal((await machine.does('agent')).state, 'committed');
});

test('inhibitors that can’t be read stop everything, loudly', async () => {
  const machine = await machines.make('corrupt-inhibitors', { operation: 'switch' });
  const host = `mkSystem { hostName = "web"; motd = "x"; inhibitors = "{"; }`;
  const receipt = await machine.does('switch', await machines.release('corrupt-inhibitors', 30, host));
  assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'activation-failed']);
  assert.match(receipt.detail ?? '', /cannot read \S+switch-inhibitors/);
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'a', floor: 1 });
});

test('exit 100 leaves the new system to the next start', async () => {
  const machine = await machines.make('exit-100', { operation: 'switch' });
  const bundle = await machines.release(
    'init',
    30,
    plainHost('web', 'init'),
    'if [ "${1:-}" = switch ]; then exit 100; fi',
  );
  assert.equal((await machine.does('switch', bundle)).state, 'pending');
  assert.equal((await machine.stands()).runs, 'a');
  await machine.restart();
  assert.equal((await machine.does('agent')).state, 'committed');
});

test('what only a restart changes is named', async () => {
  const machine = await machines.make('kernel', { operation: 'switch' });
  const host = 'mkSystem { hostName = "web"; motd = "kernel"; version = "26.11"; }';
  const receipt = await machine.does('switch', await machines.release('kernel', 30, host));
  assert.equal(receipt.state, 'committed');
  assert.deepEqual(receipt.rebootNeeded, ['kernel', 'initrd', 'kernel-modules']);
  assert.match(receipt.notices?.join() ?? '', /after a restart: kernel, initrd, kernel-modules/);
});

const variant = (motd: string, names: readonly string[]) =>
  `mkSystem { hostName = "web"; motd = "${motd}"; specialisation = { ${names
    .map((n) => `${n} = mkSystem { hostName = "web"; motd = "${motd}-${n}"; };`)
    .join(' ')} }; }`;

test('a specialisation that runs is switched to its successor, and back where that fails', async () => {
  const machine = await machines.make('specialisation', { operation: 'switch' });
  assert.equal(
    (await machine.does('switch', await machines.release('s1', 30, variant('s1', ['quiet'])))).state,
    'committed',
  );
  await machine.target.run([
    '/nix/var/nix/profiles/system/specialisation/quiet/bin/switch-to-configuration',
    'test',
  ]);
  assert.equal((await machine.stands()).runs, 's1-quiet');
  const kept = await machine.does(
    'switch',
    await machines.release('s2', 40, variant('s2', ['quiet', 'loud'])),
  );
  assert.equal(kept.state, 'committed');
  assert.match(kept.notices?.join() ?? '', /Specialisation quiet was running and still is/);
  assert.deepEqual(await machine.stands(), { installed: 's2', default: 's2', runs: 's2-quiet', floor: 41 });
  const bad = await machines.release(
    's3',
    50,
    variant('s3', ['quiet']),
    'case "${1:-}" in switch | test) exit 2 ;; esac',
  );
  assert.equal((await machine.does('switch', bad)).state, 'rolled-back');
  assert.deepEqual(await machine.stands(), { installed: 's2', default: 's2', runs: 's2-quiet', floor: 41 });
  const dropped = await machine.does('switch', await machines.release('s4', 60, variant('s4', ['loud'])));
  assert.match(dropped.notices?.join() ?? '', /does not have it/);
  assert.equal((await machine.stands()).runs, 's4');
});

test('a system whose own checks say no is not installed', async () => {
  const machine = await machines.make('check', { operation: 'switch' });
  const prelude = 'if [ "${1:-}" = check ]; then echo "the disk is not encrypted" >&2; exit 1; fi';
  const receipt = await machine.does(
    'switch',
    await machines.release('check', 30, plainHost('web', 'check'), prelude),
  );
  assert.deepEqual([receipt.state, receipt.code], ['failed', 'check-failed']);
  assert.match(receipt.detail ?? '', /the disk is not encrypted/);
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'a', floor: 1 });
  assert.equal((await machine.target.run(['test', '-e', '/nix/var/nix/profiles/system-2-link'])).code, 1);
});

test('a system that does not know `check` yet is installed without', async () => {
  const machine = await machines.make('no-check', { operation: 'switch' });
  const prelude =
    'if [ "${1:-}" = check ]; then echo "Usage: switch-to-configuration [switch|boot|test]" >&2; exit 1; fi';
  const receipt = await machine.does(
    'switch',
    await machines.release('no-check', 30, plainHost('web', 'no-check'), prelude),
  );
  assert.equal(receipt.state, 'committed');
});

test('where the boot loader has no room for another kernel, nothing is installed', async () => {
  const machine = await machines.make('boot-room');
  const { target } = machine;
  const kernels = '/boot';
  const anotherKernel = `${'a'.repeat(32)}-linux-6.12-bzImage.efi`;
  const command = [process.execPath, asBootedMain, 'boot-1', target.settingsFile, 'boot', bundles.b];
  const mountThen =
    'mkdir -p "$1"; mount -t tmpfs -o size=512k kernels "$1"; mkdir -p "$1/EFI/nixos"; touch "$1/EFI/nixos/$2"; shift 2; exec "$@"';
  const ran = await target.run([...apart, 'sh', '-euc', mountThen, 'sh', kernels, anotherKernel, ...command]);
  const [receipt] = JSON.parse(ran.stdout) as Outcome[];
  assert.deepEqual([receipt?.state, receipt?.code], ['deferred', 'no-boot-space']);
  assert.match(receipt?.detail ?? '', /^[\d.]+ \w+ needed in \S+, which has [\d.]+ \w+ free$/);
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'a', floor: 1 });
  const roomy = [
    ...apart,
    'sh',
    '-euc',
    mountThen.replace('512k', '8m'),
    'sh',
    kernels,
    anotherKernel,
    ...command,
  ];
  assert.match((await target.run(roomy)).stdout, /"state":"pending"/);

  // Where no loader that is known has written to, nobody can tell, and nothing waits.
  const other = await machines.make('strange-boot');
  const asked = [process.execPath, asBootedMain, 'boot-1', other.target.settingsFile, 'boot', bundles.b];
  const strange = [...apart, 'sh', '-euc', mountThen, 'sh', kernels, 'unknown', ...asked];
  const { stdout } = await other.target.run(strange);
  assert.doesNotMatch(stdout, /no-boot-space/);
  assert.match(stdout, /"state":"pending"/);
});
