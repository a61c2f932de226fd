/**
 * Real file systems on loop devices at a machine with a real systemd: receipts that root writes to them, and what a hostile,
 * full, read-only or damaged one does to it: nothing.
 */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { startBed, unitText } from '../machines/bed.ts';
import { apart, run } from '../machines/program.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const disk = join(shop.folder, 'bed');
await mkdir(disk);
const bed = await startBed(disk);
after(() => bed.stop());

await bed.write(
  '/etc/nix/nix.conf',
  `experimental-features = nix-command flakes\nsandbox = false\nsubstituters =\ntrusted-public-keys = ${shop.keys.publicKey}\n`,
);
const lamp = '/usr/local/bin/lamp';
await bed.write(
  lamp,
  '#!/bin/sh\necho "$1 $NIXMAKER_STATE $NIXMAKER_SEQUENCE $NIXMAKER_RECEIPTS" >>/var/lib/nixmaker/activation/lamp\n',
  '0755',
);
const policy = {
  schema: 1,
  host: 'web',
  operation: 'switch',
  trustedKeys: [shop.keys.publicKey],
  receipts: { notify: [lamp, 'on'] },
};
await bed.write('/etc/nixmaker/policy.json', JSON.stringify(policy));
await bed.write('/etc/nixmaker/settings.json', JSON.stringify({ media: { roots: ['/run/media'] } }));
for (const unit of [
  'nixmaker.service',
  'nixmaker-activate.path',
  'nixmaker-activate.service',
  'nixmaker-confirm.service',
  'nixmaker-receipts.path',
  'nixmaker-receipts.service',
])
  await bed.write(`/etc/systemd/system/${unit}`, unitText(unit));
// Loop devices are the host's, and are let go with the last mount.
await bed.sh('mknod /dev/loop-control c 10 237; for n in $(seq 0 31); do mknod /dev/loop$n b 7 $n; done');
await bed.sh('systemctl daemon-reload; systemctl start nixmaker-activate.path nixmaker.service');

let sequence = 0;
/** A pool with the next release for this host, in a folder of the desk's. */
async function pool(name: string): Promise<string> {
  sequence += 10;
  const bundle = await shop.bundle(name, {
    hosts: { web: plainHost('web', name) },
    args: ['--sequence', String(sequence - 1)],
  });
  const folder = join(shop.folder, 'stick');
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder);
  const put = await shop.builder.nixmaker(['put', folder, bundle]);
  assert.equal(put.code, 0, put.stderr);
  return folder;
}

/** Makes a stick's image of the folder. @returns its path at the machine */
async function image(folder: string, name: string, spoil?: (image: Buffer) => void): Promise<string> {
  const path = join(shop.folder, `${name}.img`);
  await rm(path, { force: true });
  const made = await run('mke2fs', [
    '-q',
    '-F',
    '-t',
    'ext4',
    '-O',
    '^has_journal',
    '-d',
    folder,
    path,
    '24M',
  ]);
  assert.equal(made.code, 0, made.stderr);
  const bytes = await readFile(path);
  spoil?.(bytes);
  await bed.write(`/drawer/${name}.img`, bytes);
  return `/drawer/${name}.img`;
}
const plug = (file: string, place: string, options = 'rw') =>
  bed.sh('mkdir -p "$2"; mount -o "loop,$3" "$1" "$2"', file, place, options);
/** As a person would who is told that it is busy: the agent may just be looking at it. */
const pull = (place: string) => bed.until('umount "$1"', place);
const runs = async () => (await bed.sh('cat /run/current-system/etc/motd')).trim();
const log = (unit: string) => bed.sh('journalctl --no-pager --unit "$1" --output=cat', unit);
const told = (place: string) =>
  bed.until(
    'journalctl --no-pager --unit nixmaker-receipts --output=cat | grep medium-may-go | grep -qF "$1"',
    place,
  );
const receiptsOn = async (place: string) =>
  (await bed.sh('cd "$1/nixmaker/receipts/web" 2>/dev/null && ls | grep json || true', place))
    .trim()
    .split('\n');

const first = '/run/media/anna/Stick der Brücke 🚢';

test('root writes the receipt to a stick that a desktop has mounted, and says that it may go', async () => {
  await plug(await image(await pool('one'), 'first'), first);
  await told(first);
  assert.equal(await runs(), 'one');
  assert.deepEqual(await receiptsOn(first), ['10.json']);
  assert.match(
    await log('nixmaker-receipts'),
    /Sequence 10 is installed and running\. You may unmount and remove the medium\./,
  );
  assert.equal(await bed.sh('cat /var/lib/nixmaker/activation/lamp'), 'on committed 10 written\n');
  await pull(first);
});

test('the host’s key is root’s alone, and the desk believes its receipt', async () => {
  const modes = await bed.sh('stat -c "%a %U %n" /var/lib/nixmaker/activation/host.*');
  assert.match(modes, /^644 root .*host\.public\n600 root .*host\.secret$/m);
  await plug('/drawer/first.img', first, 'ro');
  const receipt = await bed.sh('cat "$1/nixmaker/receipts/web/10.json"', first);
  await pull(first);
  const back = join(shop.folder, 'back/nixmaker/receipts/web');
  await mkdir(back, { recursive: true });
  await writeFile(join(back, '10.json'), receipt);
  await mkdir(join(shop.folder, 'fleet/keys'), { recursive: true });
  await writeFile(join(shop.folder, 'fleet/keys/web.public'), await bed.sh('nixmaker host-key'));
  const dir = join(shop.folder, 'fleet');
  const collected = await shop.builder.nixmaker(['collect', join(shop.folder, 'back'), '-d', dir]);
  assert.match(collected.stdout, /^web +10 +done +new$/m, collected.stderr);
  const fleet = await shop.builder.nixmaker(['fleet', '-d', dir, '--json']);
  assert.match(fleet.stdout, /"failedUnits": \[\]/);
});

test('from a write-protected stick the bundle is taken; its receipt waits for the next', async () => {
  const place = '/run/media/protected';
  await plug(await image(await pool('two'), 'protected'), place, 'ro');
  await told(place);
  assert.equal(await runs(), 'two');
  assert.deepEqual(await receiptsOn(place), ['']);
  assert.match(await log('nixmaker-receipts'), /medium-read-only.*receipts-wait/);
  assert.match(await bed.sh('cat /var/lib/nixmaker/activation/lamp'), /on committed 20 medium-read-only/);
  await pull(place);
  const next = '/run/media/next';
  await plug(await image(await pool('three'), 'next'), next);
  await told(next);
  assert.equal(await runs(), 'three');
  assert.deepEqual(await receiptsOn(next), ['20.json', '30.json']);
  await pull(next);
});

test('so it does where the stick is full', async () => {
  const place = '/run/media/full';
  await plug(await image(await pool('four'), 'full'), place);
  // Filled up by somebody while the bundle is taken: as full as root can make it.
  await bed.sh(
    'dd if=/dev/zero of="$1/photos" bs=64k 2>/dev/null || true; dd if=/dev/zero of="$1/more" bs=512 2>/dev/null || true',
    place,
  );
  await told(place);
  assert.equal(await runs(), 'four');
  assert.match(await log('nixmaker-receipts'), /medium-full.*receipts-wait/);
  assert.equal(await bed.sh('find "$1" -path "*receipts*" -type f', place), '', 'nothing half written');
  await pull(place);
});

test('a link in the place of a folder does not make root write elsewhere', async () => {
  const folder = await pool('five');
  await run('ln', ['-s', '/etc', join(folder, 'nixmaker/receipts')]);
  const place = '/run/media/link';
  await bed.sh('mkdir -p /etc/web');
  await plug(await image(folder, 'link'), place);
  await told(place);
  assert.equal(await runs(), 'five');
  assert.equal(await bed.sh('ls /etc/web'), '');
  await pull(place);
});

test('pipes, links, litter, a huge directory and ten thousand files hide nothing and hang nothing', async () => {
  const folder = await pool('six');
  const names = Array.from({ length: 10_000 }, (_, i) => `IMG_${String(i).padStart(5, '0')}.jpg`);
  for (const name of names) await writeFile(join(folder, name), '');
  for (let i = 0; i < 1500; i++)
    await writeFile(join(folder, `${String(i).padStart(4, '0')}.tar`), 'no bundle');
  for (const pipe of ['pipe.tar', 'nixmaker/hosts/web/99', 'nixmaker/cache/x.narinfo'])
    await run('mkfifo', [join(folder, pipe)]);
  await run('ln', ['-s', '/dev/zero', join(folder, 'zero.tar')]);
  await run('ln', ['-s', '.', join(folder, 'nixmaker/hosts/loop')]);
  await run('mknod', [join(folder, 'zero-device.tar'), 'c', '1', '5']);
  await writeFile(join(folder, '._web.tar'), 'litter of a Mac');
  await mkdir(join(folder, 'nixmaker/hosts/web/500'));
  await run('mkfifo', [join(folder, 'nixmaker/hosts/web/500/manifest.json')]);
  const place = '/run/media/litter';
  const path = join(shop.folder, 'litter.img');
  await rm(path, { force: true });
  const flags = ['-q', '-F', '-t', 'ext4', '-N', '20000', '-O', '^has_journal', path, '48M'];
  const made = await run('mke2fs', flags);
  assert.equal(made.code, 0, made.stderr);
  // mke2fs itself would look for each of the names among all that it has made.
  const fill = 'mkdir "$1.d"; mount -o loop "$1" "$1.d"; cp --archive "$2/." "$1.d"; umount "$1.d"';
  const filled = await run('unshare', [...apart.slice(1), 'sh', '-euc', fill, 'sh', path, folder]);
  assert.equal(filled.code, 0, filled.stderr);
  await bed.write('/drawer/litter.img', await readFile(path));
  await plug('/drawer/litter.img', place);
  await told(place);
  assert.equal(await runs(), 'six');
  await pull(place);
});

test('a file system that is damaged is named, the machine goes on, and the next stick is taken', async () => {
  const damaged = await image(await pool('seven'), 'damaged', (bytes) => {
    // Whatever of the pool's folders and files lies there: the blocks behind the first ones of the only group.
    for (let at = 2 * 1024 * 1024; at < bytes.length; at += 4096)
      if (bytes.subarray(at, at + 4096).some((b) => b !== 0)) bytes.fill(0xa5, at, at + 4096);
  });
  const place = '/run/media/damaged';
  await plug(damaged, place);
  const good = '/run/media/good';
  await plug(await image(await pool('eight'), 'good'), good);
  await told(good);
  assert.equal(await runs(), 'eight');
  assert.equal((await bed.sh('systemctl is-active nixmaker.service')).trim(), 'active');
  await pull(place);
  await pull(good);
});

test('a request that an agent which was taken over might write gives root nothing to do', async () => {
  const visit = (place: string) =>
    JSON.stringify({ schema: 1, transaction: 'aaaaaaaaaaaa', place, findings: [], runs: [] });
  await bed.sh('mkdir -p /srv/victim');
  for (const [i, text] of [
    visit('/srv/victim'),
    visit('/'),
    visit('/run/media/../../srv/victim'),
    'x',
  ].entries()) {
    const path = `/run/nixmaker/visits/${i}.json`;
    await bed.sh(
      'printf %s "$1" >/tmp/visit; install -o nixmaker -g nixmaker -m 600 /tmp/visit "$2.new"; mv "$2.new" "$2"',
      text,
      path,
    );
    await bed.until('test ! -e "$1"', path);
  }
  assert.equal(await bed.sh('find /srv/victim /nixmaker 2>/dev/null || true'), '/srv/victim\n');
});

test('nothing on the way was written outside of nixmaker’s own folder on a stick', async () => {
  await plug('/drawer/first.img', first, 'ro');
  assert.deepEqual((await bed.sh('ls -A "$1"', first)).trim().split('\n'), ['lost+found', 'nixmaker']);
  await pull(first);
  assert.deepEqual(await readdir(join(shop.folder, 'stick', 'nixmaker')), ['.lock', 'cache', 'hosts']);
});
