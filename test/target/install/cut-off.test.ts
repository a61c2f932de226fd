/** An installation that is killed at any step: done again, it ends as if it had never been cut. */
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
const lives: LiveSystem[] = [];
after(() => {
  for (const each of lives) each.close();
});
async function live(name: string): Promise<LiveSystem> {
  const made = await bootLive(join(shop.folder, name));
  lives.push(made);
  return made;
}

/** All names on the new disk, but for those that chance has made. */
const namesOn = async (machine: LiveSystem) =>
  (await machine.sh('find /mnt -xdev | sort'))
    .replaceAll(/receipts\/[0-9a-f]+\.json/g, 'receipts/RUN.json')
    .replaceAll(/^\/mnt\/nix\/(?:store\/\.links\/|var\/nix\/(?:db|temproots|gc-socket|userpool)).*\n/gm, '');

const request = (root: string) =>
  JSON.stringify({
    ...{ place: stick, root, host: 'web', plainFolder: false, dryRun: false, format: false, disks: [] },
    trust: { trustedKeys: [{ key: shop.keys.publicKey, roles: [] }], threshold: 1, roles: {} },
  });

const cut = (machine: LiveSystem, when: string, name: string) =>
  machine.run([process.execPath, killed, request('/mnt'), when, name]);

const runsOf = async (machine: LiveSystem) =>
  (await machine.sh('cat /mnt/var/lib/nixmaker/activation/journal'))
    .split('\n')
    .filter((line) => line.includes('"state":"pending"')).length;

test('killed before each step on one disk, it ends like an installation that nothing has cut', async () => {
  const [whole, often] = await Promise.all([live('whole'), live('often')]);
  const args = [stick, '--host', 'web', '--key', shop.keys.publicKey, '--json'];
  const done = await whole.install(args);
  assert.equal(done.code, 0, done.stderr);
  const steps = ['install-checked', 'import', 'import-progress', 'profile', 'mark', 'keys', 'floor'];
  for (const step of [
    ...steps,
    'boot-loader',
    'record',
    'notice',
    'pending',
    'receipt',
    'receipts-written',
  ]) {
    const ran = await cut(often, 'at', step);
    // Without a notice there is nothing to be killed at.
    assert.ok(
      ran.code !== 0 || step === 'notice' || step === 'pending',
      `${step}: ${ran.stdout}${ran.stderr}`,
    );
  }
  const again = await often.install(args);
  assert.equal(again.code, 0, again.stderr);
  assert.equal(await namesOn(often), await namesOn(whole));
  for (const file of ['boot/loader/loader.conf', 'nix/var/nix/profiles/system.floor'])
    assert.equal(await often.sh(`cat /mnt/${file}`), await whole.sh(`cat /mnt/${file}`), file);
  const valid = await often.run(['nix', 'store', 'verify', '--store', '/mnt', '--all', '--no-trust']);
  assert.equal(valid.code, 0, valid.stderr);
  assert.equal(await runsOf(often), 1, 'one run waits for the first start');
  assert.equal(await often.sh('cat /proc/self/mountinfo | grep -c " /mnt/mnt " || true'), '0\n');
});

test('run twice, the machine keeps its keys, its one generation and its one run', async () => {
  const machine = await live('twice');
  const args = [one, '--key', shop.keys.publicKey, '--json', '--receipts', stick];
  const [first, second] = [await machine.install(args), await machine.install(args)];
  assert.equal(second.code, 0, second.stderr);
  const [a, b] = [JSON.parse(first.stdout), JSON.parse(second.stdout)];
  assert.deepEqual([b.hostKey, b.recipients], [a.hostKey, a.recipients]);
  assert.equal(
    (await machine.sh('ls -d /mnt/nix/var/nix/profiles/system-*-link')).trim().split('\n').length,
    1,
  );
  assert.equal(await runsOf(machine), 1);
});

test('if the boot loader can’t be installed, its words are shown, and the next attempt goes on from there', async () => {
  const machine = await live('boot');
  const args = [one, '--key', shop.keys.publicKey, '--json'];
  await machine.sh('mkdir -p /mnt/boot/loader; touch /mnt/boot/loader/loader.tmp');
  const failed = await machine.install(args);
  const said = JSON.parse(failed.stdout);
  assert.equal(said.code, 'install-failed');
  assert.match(
    said.detail,
    /switch-to-configuration boot ended with 1: .*FileExistsError.*Failed to install bootloader/,
  );
  await machine.sh('rm /mnt/boot/loader/loader.tmp');
  const again = await machine.install(args);
  assert.equal(again.code, 0, again.stderr);
  assert.match(JSON.parse(again.stdout).notices.join(), /The receipt waits on the new machine/);
});
