/** What nixosModules.installer runs: on a real terminal, with a person’s key; and without, where a signed table says so. */
import assert from 'node:assert/strict';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { after, test } from 'node:test';
import { main } from '../../machines/compiled.ts';
import { bootLive, type LiveSystem } from '../../machines/live-system.ts';
import { makeWorkshop } from '../../support/fleet.ts';
import { installableHost, stickWith } from '../../support/installable.ts';

const shop = await makeWorkshop();
const one = await shop.bundle('one', { hosts: { web: installableHost(shop, 'one') } });
const lives: LiveSystem[] = [];
after(() => {
  for (const each of lives) each.close();
});
async function live(name: string): Promise<LiveSystem> {
  const made = await bootLive(join(shop.folder, name));
  lives.push(made);
  return made;
}

async function desk(...args: string[]): Promise<void> {
  const ran = await shop.builder.nixmaker(args);
  assert.equal(ran.code, 0, ran.stderr);
}

/** The verb, with an `lsblk` that knows of no media but these: those of the machine that the tests run on are none of ours. */
async function command(machine: LiveSystem, media: readonly object[], ...args: string[]): Promise<string> {
  const bin = join(machine.folder, 'bin');
  await mkdir(bin, { recursive: true });
  const listed = JSON.stringify({ blockdevices: media });
  await writeFile(join(bin, 'lsblk'), `#!/bin/sh\necho '${listed}'\n`, { mode: 0o755 });
  const line = [process.execPath, main, 'installer', '--root', '/mnt', ...args].map((word) => `'${word}'`);
  return `PATH=${bin}:$PATH timeout --foreground 100 ${line.join(' ')}`;
}

test('on its console it shows what it would do, and does it after Enter, but not one that came before', async (t) => {
  const machine = await live('asked');
  const { folder } = machine;
  const pool = await stickWith(shop, 'asked', [one]);
  const device = (
    await machine.sh(`
truncate --size=300M ${folder}/stick.img
mkfs.ext4 -q -F -L FLEET -d ${pool} ${folder}/stick.img
losetup --find --show ${folder}/stick.img`)
  ).trim();
  t.after(() => machine.sh(`losetup --detach ${device}`));
  const plugged = { kname: basename(device), fstype: 'ext4', label: 'FLEET', hotplug: true };
  const line = await command(machine, [plugged], '--key', shop.keys.publicKey, '--host', 'web');
  await writeFile(join(machine.folder, 'line'), `stty cols 200; ${line}\n`);
  const screen = join(machine.folder, 'screen');
  // Enter at once; then, once it asks, what is on the disk before and Enter again.
  await machine.sh(`
: >${screen}
until_said() { n=0; until grep -q "$1" ${screen}; do n=$((n+1)); test $n -lt 400; sleep 0.1; done; }
{
  echo
  until_said "Press Enter to install it"
  ls /mnt >${folder}/before
  echo
  until_said "All media may be removed"
} | LC_ALL=C.UTF-8 TERM=xterm script --quiet --flush --return --command "sh ${folder}/line" ${screen} >/dev/null`);
  const shown = await readFile(screen, 'utf8');
  const said = `${shown}\n${await machine.sh(`cat ${folder}/before`)}`;
  assert.match(said, /would make this machine web, release 1, signed by fleet-1/);
  assert.doesNotMatch(await machine.sh(`cat ${folder}/before`), /nix|etc/, 'nothing was written before');
  assert.match(shown, /installed in \/mnt: web 1/);
  assert.match(shown, /first receipt: on loop[0-9]+ \(FLEET\)/);
  assert.match(await machine.sh('cat /mnt/boot/loader/loader.conf'), /^default nixos-/);
  assert.equal(
    await machine.sh(`
! grep -q nixmaker-installer /proc/self/mountinfo
test "$(blockdev --getro ${device})" = 0
mount -o ro ${device} ${folder}/tmp; ls ${folder}/tmp/nixmaker/receipts/web; umount ${folder}/tmp`),
    '1.json\n1.txt\n',
  );
});

test('unattended by a signed table it asks nobody; without one it installs nothing; a keyring is kept', async () => {
  const machine = await live('unattended');
  const [stick, json, table] = ['unattended', 'u.json', 'u.hosts'].map((n) => join(shop.folder, n));
  assert.ok(stick !== undefined && json !== undefined && table !== undefined);
  const ring = { json: join(shop.folder, 'ring.json'), file: join(shop.folder, 'fleet.keyring') };
  const keyring = { schema: 1, version: 7, hosts: ['web'], threshold: 1 };
  await writeFile(ring.json, JSON.stringify({ ...keyring, trustedKeys: [shop.keys.publicKey] }));
  await desk('keyring', 'make', ring.json, ring.file);
  await desk('keyring', 'sign', '--key', shop.keys.secretFile, ring.file);
  const mac = '52:54:00:12:34:56';
  await machine.sh(`
mkdir -p ${machine.folder}/net/eth0 ${machine.folder}/device
echo ${mac} >${machine.folder}/net/eth0/address
ln -s ../../device ${machine.folder}/net/eth0/device
mount --bind ${machine.folder}/net /sys/class/net`);
  const whole = { schema: 1, createdAt: '2026-11-01T00:00:00Z', hosts: [{ host: 'web', mac }] };
  const put = async (unattended: boolean) => {
    await rm(table, { force: true });
    await writeFile(json, JSON.stringify({ ...whole, unattended }));
    await desk('hosts', 'make', json, table);
    await desk('hosts', 'sign', '--key', shop.keys.secretFile, table);
    await mkdir(stick, { recursive: true });
    await desk('put', '--plain-folder', stick, one, table);
  };
  await put(false);
  const args = ['--keyring', ring.file, '--folder', stick];
  const line = await command(machine, [], ...args);
  // Off a terminal, nobody can answer: it waits for another medium until it is ended.
  const asked = await machine.run([
    'sh',
    '-c',
    `${line} >${machine.folder}/said 2>&1 & pid=$!; n=0
until grep -q "Plug it in" ${machine.folder}/said; do n=$((n+1)); test $n -lt 300 || break; sleep 0.1; done; kill $pid; cat ${machine.folder}/said`,
  ]);
  assert.match(asked.stdout, /nobody can answer here/);
  assert.doesNotMatch(await machine.sh('ls /mnt'), /nix/);
  await put(true);
  const ran = await machine.run(['sh', '-c', line]);
  assert.equal(ran.code, 0, ran.stdout + ran.stderr);
  assert.match(ran.stdout, /The signed table says that nobody is asked/);
  assert.match(ran.stdout, /installed in \/mnt: web 1/);
  assert.match(await machine.sh('grep -rl fleet /mnt/var/lib/nixmaker/activation'), /keyring/);
});
