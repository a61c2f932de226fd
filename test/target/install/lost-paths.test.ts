/** What a power cut leaves of an installation on some file systems (btrfs): paths that are valid for Nix and not there, or not whole. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bootLive, type LiveSystem } from '../../machines/live-system.ts';
import { makeWorkshop } from '../../support/fleet.ts';
import { installableHost, stickWith } from '../../support/installable.ts';

const shop = await makeWorkshop();
const one = await shop.bundle('one', { hosts: { web: installableHost(shop, 'one') } });
const stick = await stickWith(shop, 'one', [one]);
const killed = new URL('../../machines/killed-install.ts', import.meta.url).pathname;
const args = [stick, '--host', 'web', '--key', shop.keys.publicKey, '--json'];
const lives: LiveSystem[] = [];
after(() => {
  for (const each of lives) each.close();
});

const request = JSON.stringify({
  ...{ place: stick, root: '/mnt', host: 'web', plainFolder: false, dryRun: false, format: false, disks: [] },
  trust: { trustedKeys: [{ key: shop.keys.publicKey, roles: [] }], threshold: 1, roles: {} },
});

/** Cut off at that step, then without all of one path’s files and some of another’s. */
async function cutAndLost(name: string, step?: string): Promise<LiveSystem> {
  const machine = await bootLive(join(shop.folder, name));
  lives.push(machine);
  const done =
    step === undefined
      ? await machine.install(args)
      : await machine.run([process.execPath, killed, request, 'at', step]);
  assert.equal(step === undefined, done.code === 0, done.stderr);
  await machine.sh(`
    set -- /mnt/nix/store/*-sample-base-*; chmod -R u+w "$1"; rm -r "$1"
    set -- /mnt/nix/store/*-nixos-system-*; chmod u+w "$1"; rm "$1/nixos-version"`);
  return machine;
}

const verify = (machine: LiveSystem) =>
  machine.run(['nix', 'store', 'verify', '--store', '/mnt', '--all', '--no-trust']);

test('before anything can be started from the disk they are brought again, and that is told', async () => {
  const machine = await cutAndLost('cut', 'profile');
  const checked = await machine.install([...args, '--dry-run']);
  assert.equal(checked.code, 0, checked.stderr);
  assert.notEqual((await verify(machine)).code, 0, 'a dry run changes nothing');
  const again = await machine.install(args);
  assert.equal(again.code, 0, again.stdout + again.stderr);
  assert.match(
    JSON.parse(again.stdout).notices.join(' '),
    /2 store paths lacked files, as after a power cut; they were deleted and imported again\. The first is \/nix\/store\/\S+\./,
  );
  const whole = await verify(machine);
  assert.equal(whole.code, 0, whole.stderr);
});

test('what a system on the disk may need is left alone, and the advice is for a machine that is being installed', async () => {
  const machine = await cutAndLost('done');
  const before = await machine.sh('find /mnt/nix/store /mnt/boot /mnt/nix/var/nix/profiles | sort');
  for (const more of [[], ['--dry-run']]) {
    const again = await machine.install([...args, ...more]);
    const { code, detail } = JSON.parse(again.stdout);
    assert.equal(code, 'root-unusable');
    assert.match(
      detail,
      /^valid for Nix there, but not whole: \/nix\/store\/\S+ \(.*\)\. If a system on that disk is to be kept, start it and run `nixmaker repair BUNDLE` there; otherwise make its file systems anew$/,
    );
  }
  assert.equal(await machine.sh('find /mnt/nix/store /mnt/boot /mnt/nix/var/nix/profiles | sort'), before);
});
