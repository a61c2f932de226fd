/** Which devices are this machine’s own, by sysfs as the kernel lays it out. */
import assert from 'node:assert/strict';
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { type TestContext, test } from 'node:test';
import { whyInUse } from '../../src/media/in-use.ts';
import type { Mount } from '../../src/media/mounts.ts';
import { temporaryFolder } from '../support/bundles.ts';

/** A card reader’s disk with two partitions, a USB disk without any, and a card of which a volume is made. */
const devices = {
  mmcblk0: '179:0',
  'mmcblk0/mmcblk0p1': '179:1',
  'mmcblk0/mmcblk0p2': '179:2',
  sda: '8:0',
  sdb: '8:16',
  'sdb/sdb1': '8:17',
  'sdb/sdb2': '8:18',
};

async function kernelOf(t: TestContext, { holder, swap = '' }: { holder?: string; swap?: string } = {}) {
  const folder = await temporaryFolder(t);
  const sys = join(folder, 'sys');
  for (const [path, number] of Object.entries(devices)) {
    const place = join(sys, 'devices/bus/block', path);
    const link = join(sys, 'class/block', path.split('/').at(-1) ?? '');
    await mkdir(join(place, 'holders'), { recursive: true });
    await mkdir(dirname(link), { recursive: true });
    await writeFile(join(place, 'dev'), `${number}\n`);
    await symlink(relative(dirname(link), place), link);
  }
  if (holder !== undefined) await writeFile(join(sys, 'class/block', holder, 'holders/dm-0'), '');
  const swaps = join(folder, 'swaps');
  await writeFile(swaps, `Filename\t\t\t\tType\n${swap} partition 1 0 -2\n`);
  return { sys, swaps };
}

const mount = (target: string, device: string, source: string): Mount => ({
  ...{ target, device, source, fileSystem: 'ext4', readOnly: false, options: [], label: '', uuid: '' },
});
const ours = ['/run/media/nixmaker'];

test('the disk of which anything is mounted is this machine’s own, with all that lies on it', async (t) => {
  const kernel = await kernelOf(t);
  const mounts = [mount('/', '179:2', '/dev/mmcblk0p2')];
  for (const name of ['mmcblk0', 'mmcblk0p1', 'mmcblk0p2'])
    assert.equal(await whyInUse(name, { mounts, ours }, kernel), 'this machine has / on the same disk', name);
  for (const name of ['sda', 'sdb1']) assert.equal(await whyInUse(name, { mounts, ours }, kernel), undefined);
  // btrfs has a number of its own.
  const btrfs = [mount('/nix', '0:31', '/dev/sdb2[/@nix]')];
  assert.match((await whyInUse('sdb1', { mounts: btrfs, ours }, kernel)) ?? '', /\/nix on the same disk/);
});

test('what nixmaker has mounted of it, to read or to write, is no such thing', async (t) => {
  const mounts = [mount('/run/media/nixmaker/sdb1', '8:17', '/dev/sdb1')];
  const kernel = await kernelOf(t);
  for (const name of ['sdb1', 'sdb2'])
    assert.equal(await whyInUse(name, { mounts, ours }, kernel), undefined, name);
});

test('so is one that another device is made of, and one that holds swap', async (t) => {
  const held = await kernelOf(t, { holder: 'sdb2' });
  assert.match((await whyInUse('sdb1', { mounts: [], ours }, held)) ?? '', /^sdb2 is part of another device/);
  const swapped = await kernelOf(t, { swap: '/dev/mmcblk0p2' });
  assert.match((await whyInUse('mmcblk0p1', { mounts: [], ours }, swapped)) ?? '', /swaps to the same disk/);
  assert.equal(await whyInUse('sda', { mounts: [], ours }, swapped), undefined);
});

test('of what nobody knows anything it is not said', async (t) => {
  const kernel = await kernelOf(t);
  assert.equal(await whyInUse('sdz9', { mounts: [], ours }, kernel), undefined);
});
