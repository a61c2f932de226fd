/** What happens between `boot` and the commit: restarts, checks, a person who confirms or does not. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readFloor } from '../../src/state/floor.ts';
import { asBootedMain } from '../machines/compiled.ts';
import { apart } from '../machines/program.ts';
import { asBooted, restart } from '../machines/restart.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const release = (name: string, sequence: number, host = plainHost('web', name), switchPrelude?: string) =>
  shop.bundle(name, {
    hosts: { web: host },
    args: ['--sequence', String(sequence)],
    ...(switchPrelude === undefined ? {} : { switchPrelude }),
  });
const bundles = {
  a: await release('a', 0),
  b: await release('b', 10),
  c: await release('c', 20),
};

interface Outcome {
  readonly state: string;
  readonly code?: string;
  readonly detail?: string;
  readonly toplevel?: string;
  readonly notices?: readonly string[];
  readonly rebootNeeded?: readonly string[];
}

/** A machine that runs `a`, and its boots by number. */
class TestMachine {
  readonly target: Target;
  #boots = 0;

  private constructor(target: Target) {
    this.target = target;
  }

  static async make(name: string, policy: Record<string, unknown> = {}): Promise<TestMachine> {
    const root = join(shop.folder, name);
    const target = await makeTarget(root, {
      host: 'web',
      trustedKeys: [shop.keys.publicKey],
      policy: { operation: 'boot', operations: ['switch', 'boot', 'test'], ...policy },
      settings: { bootDirectory: join(root, 'kernels') },
    });
    after(() => target.close());
    const machine = new TestMachine(target);
    assert.equal((await machine.does('switch', bundles.a)).state, 'committed');
    await machine.restart();
    return machine;
  }

  /** Runs a verb in the present boot. */
  async runs(verb: string, argument = ''): Promise<Outcome[]> {
    const ran = await asBooted(this.target, `boot-${this.#boots}`, verb, argument);
    if (ran.code !== 0) throw new Error(ran.stderr);
    return (JSON.parse(ran.stdout) as (Outcome | null)[]).filter((r) => r !== null);
  }

  async does(verb: string, argument = ''): Promise<Outcome> {
    const [outcome] = await this.runs(verb, argument);
    assert.ok(outcome !== undefined, `${verb} said nothing`);
    return outcome;
  }

  async restart(generation?: number): Promise<void> {
    this.#boots += 1;
    await restart(this.target, generation);
  }

  /** Which release is installed, which is the boot loader’s default, which runs. */
  async stands() {
    const { target } = this;
    const motd = async (system: string) =>
      /release (\S+)|^(\S+)$/.exec((await target.run(['cat', `${system}/etc/motd`])).stdout.trim())?.[0];
    const loader = await readFile(join(target.root, 'boot/loader/loader.conf'), 'utf8');
    return {
      installed: await motd('/nix/var/nix/profiles/system'),
      default: await motd(`/nix/var/nix/profiles/system-${/generation-(\d+)/.exec(loader)?.[1]}-link`),
      runs: await motd('/run/current-system'),
      floor: (await readFloor(target.stateDirectory)).floor?.sequence,
    };
  }
}

test('a system installed for the next start is committed when the machine has come up in it', async () => {
  const machine = await TestMachine.make('simple');
  const receipt = await machine.does('boot', bundles.b);
  assert.equal(receipt.state, 'pending');
  assert.deepEqual(await machine.stands(), { installed: 'b', default: 'b', runs: 'a', floor: 1 });
  assert.match((await machine.does('boot', bundles.b)).detail ?? '', /waits for the next start/);
  await assert.rejects(machine.runs('confirm'), /not-restarted/);
  await machine.restart();
  const [confirmed, ...more] = await machine.runs('agent');
  assert.deepEqual([confirmed?.state, more], ['committed', []]);
  assert.deepEqual(await machine.stands(), { installed: 'b', default: 'b', runs: 'b', floor: 11 });
  assert.match((await machine.does('boot', bundles.b)).detail ?? '', /taken before/);
  assert.match((await machine.target.verb('confirm')).stdout, /Nothing waits/);
});

test('one that comes up unwell is uninstalled, and not tried again', async () => {
  const health = {
    settle: 0,
    retries: 0,
    commands: [['sh', '-c', '! grep -q b /run/current-system/etc/motd']],
  };
  const machine = await TestMachine.make('unwell', { health });
  await machine.does('boot', bundles.b);
  await machine.restart();
  const receipt = await machine.does('agent');
  assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'health-failed']);
  assert.match(receipt.notices?.join() ?? '', /still runs the system that was rolled back: restart/);
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'b', floor: 1 });
  assert.equal((await machine.target.run(['test', '-e', '/nix/var/nix/profiles/system-2-link'])).code, 1);
  await machine.restart();
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'a', floor: 1 });
  assert.equal((await machine.does('boot', bundles.b)).code, 'failed-before');
});

test('one that did not boot is uninstalled once the machine is up in another', async () => {
  const machine = await TestMachine.make('not-booted');
  await machine.does('boot', bundles.b);
  await machine.restart(1);
  const receipt = await machine.does('agent');
  assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'boot-failed']);
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'a', floor: 1 });
  assert.equal((await machine.does('boot', bundles.c)).state, 'pending');
});

test('where a person has to confirm, `nixmaker confirm` keeps the system', async () => {
  const machine = await TestMachine.make('confirmed', { boot: { confirm: 'manual' } });
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
  const machine = await TestMachine.make('restarted', { boot: { confirm: 'manual' } });
  await machine.does('boot', bundles.b);
  await machine.restart();
  assert.equal((await machine.does('agent')).state, 'pending');
  await machine.restart();
  assert.equal((await machine.does('agent')).code, 'not-confirmed');
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'b', floor: 1 });
});

test('so does the end of the time to confirm', async () => {
  const machine = await TestMachine.make('late', { boot: { confirm: 'manual', within: 0 } });
  await machine.does('boot', bundles.b);
  await machine.restart();
  assert.equal((await machine.does('agent')).state, 'pending');
  assert.equal((await machine.does('confirm')).code, 'not-confirmed', 'too late');
});

test('a newer bundle supersedes one that waits, and falls back to the last system that ran', async () => {
  const machine = await TestMachine.make('superseded');
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
  const machine = await TestMachine.make('by-hand');
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

test('a switch across inhibitors is left to the next start, and the running system as it is', async () => {
  const host = (motd: string, inhibitors: string) =>
    `mkSystem { hostName = "web"; motd = "${motd}"; inhibitors = ''${inhibitors}''; }`;
  const machine = await TestMachine.make('inhibited', { operation: 'switch' });
  const first = await release('bus-1', 30, host('bus-1', '{"dbus":"daemon","x":1}'));
  const second = await release('bus-2', 40, host('bus-2', '{"dbus":"broker","y":1}'));
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
  const machine = await TestMachine.make('corrupt-inhibitors', { operation: 'switch' });
  const host = `mkSystem { hostName = "web"; motd = "x"; inhibitors = "{"; }`;
  const receipt = await machine.does('switch', await release('corrupt-inhibitors', 30, host));
  assert.deepEqual([receipt.state, receipt.code], ['rolled-back', 'activation-failed']);
  assert.match(receipt.detail ?? '', /switch-inhibitors can’t be read/);
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'a', floor: 1 });
});

test('exit 100 leaves the new system to the next start', async () => {
  const machine = await TestMachine.make('exit-100', { operation: 'switch' });
  const bundle = await release(
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
  const machine = await TestMachine.make('kernel', { operation: 'switch' });
  const host = 'mkSystem { hostName = "web"; motd = "kernel"; version = "26.11"; }';
  const receipt = await machine.does('switch', await release('kernel', 30, host));
  assert.equal(receipt.state, 'committed');
  assert.deepEqual(receipt.rebootNeeded, ['kernel', 'initrd', 'kernel-modules']);
  assert.match(receipt.notices?.join() ?? '', /restart is needed for: kernel, initrd, kernel-modules/);
});

const variant = (motd: string, names: readonly string[]) =>
  `mkSystem { hostName = "web"; motd = "${motd}"; specialisation = { ${names
    .map((n) => `${n} = mkSystem { hostName = "web"; motd = "${motd}-${n}"; };`)
    .join(' ')} }; }`;

test('a specialisation that runs is switched to its successor, and back where that fails', async () => {
  const machine = await TestMachine.make('specialisation', { operation: 'switch' });
  assert.equal(
    (await machine.does('switch', await release('s1', 30, variant('s1', ['quiet'])))).state,
    'committed',
  );
  await machine.target.run([
    '/nix/var/nix/profiles/system/specialisation/quiet/bin/switch-to-configuration',
    'test',
  ]);
  assert.equal((await machine.stands()).runs, 's1-quiet');
  const kept = await machine.does('switch', await release('s2', 40, variant('s2', ['quiet', 'loud'])));
  assert.equal(kept.state, 'committed');
  assert.match(kept.notices?.join() ?? '', /specialisation quiet was running, and runs again/);
  assert.deepEqual(await machine.stands(), { installed: 's2', default: 's2', runs: 's2-quiet', floor: 41 });
  const bad = await release('s3', 50, variant('s3', ['quiet']), 'if [ "${1:-}" = switch ]; then exit 2; fi');
  assert.equal((await machine.does('switch', bad)).state, 'rolled-back');
  assert.deepEqual(await machine.stands(), { installed: 's2', default: 's2', runs: 's2-quiet', floor: 41 });
  const dropped = await machine.does('switch', await release('s4', 60, variant('s4', ['loud'])));
  assert.match(dropped.notices?.join() ?? '', /has none of that name/);
  assert.equal((await machine.stands()).runs, 's4');
});

test('a system whose own checks say no is not installed', async () => {
  const machine = await TestMachine.make('check', { operation: 'switch' });
  const prelude = 'if [ "${1:-}" = check ]; then echo "the disk is not encrypted" >&2; exit 1; fi';
  const receipt = await machine.does(
    'switch',
    await release('check', 30, plainHost('web', 'check'), prelude),
  );
  assert.deepEqual([receipt.state, receipt.code], ['failed', 'check-failed']);
  assert.match(receipt.detail ?? '', /the disk is not encrypted/);
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'a', floor: 1 });
  assert.equal((await machine.target.run(['test', '-e', '/nix/var/nix/profiles/system-2-link'])).code, 1);
});

test('a system that does not know `check` yet is installed without', async () => {
  const machine = await TestMachine.make('no-check', { operation: 'switch' });
  const prelude =
    'if [ "${1:-}" = check ]; then echo "Usage: switch-to-configuration [switch|boot|test]" >&2; exit 1; fi';
  const receipt = await machine.does(
    'switch',
    await release('no-check', 30, plainHost('web', 'no-check'), prelude),
  );
  assert.equal(receipt.state, 'committed');
});

test('where the boot loader has no room for another kernel, nothing is installed', async () => {
  const machine = await TestMachine.make('boot-room');
  const { target } = machine;
  const kernels = join(target.root, 'kernels');
  const command = [process.execPath, asBootedMain, 'boot-1', target.settingsFile, 'boot', bundles.b];
  const mountThen = 'mkdir -p "$1"; mount -t tmpfs -o size=512k kernels "$1"; shift; exec "$@"';
  const ran = await target.run([...apart, 'sh', '-euc', mountThen, 'sh', kernels, ...command]);
  const [receipt] = JSON.parse(ran.stdout) as Outcome[];
  assert.deepEqual([receipt?.state, receipt?.code], ['deferred', 'no-boot-space']);
  assert.deepEqual(await machine.stands(), { installed: 'a', default: 'a', runs: 'a', floor: 1 });
  const roomy = [...apart, 'sh', '-euc', mountThen.replace('512k', '8m'), 'sh', kernels, ...command];
  assert.match((await target.run(roomy)).stdout, /"state":"pending"/);
});
