/** Devices that fail, that stall, and that are gone. */
import assert from 'node:assert/strict';
import { copyFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { keepTable } from '../../support/out.ts';
import {
  clean,
  data,
  figures,
  folder,
  journal,
  mayGo,
  plug,
  prepare,
  pull,
  putOn,
  release,
  runs,
  told,
  vm,
} from './scene.ts';

/** A device below which another can be made to fail or to stall, mounted as a desktop would. */
const others = '/run/media/others/stick';
const onLoop = async (bundle: string, table: (device: string) => string) => {
  await copyFile(bundle, join(folder, 'bundle.tar'));
  await vm.sh(
    `rm -f /root/loop.img; truncate --size 64M /root/loop.img; mkfs.ext4 -q -b 4096 -F /root/loop.img; mount -o loop /root/loop.img /mnt; nixmaker put /mnt /host/bundle.tar >/dev/null 2>&1; umount /mnt; modprobe dm-mod; d=$(losetup --find --show /root/loop.img); ${table('$d')}; mkdir -p ${others}`,
    120_000,
  );
};
const sectors = 131_072;
/** Two mebibytes into the largest file, as `$x`: metadata and small files lie elsewhere. In sectors. */
const inTheLargest = (d: string) =>
  `mount -o ro ${d} /mnt; b=$(filefrag -v "$(ls -S /mnt/nixmaker/cache/nar/*/* | head -n 1)" | sed -n 's/^ *0: .*: *\\([0-9]*\\)\\..*/\\1/p'); umount /mnt; x=$((b * 8 + 4096))`;
/** The device, but for 64 sectors there. */
const tableWith = (d: string, those: string) =>
  `printf "0 $x linear ${d} 0\\n$x 64 ${those}\\n$((x + 64)) $((${sectors} - x - 64)) linear ${d} $((x + 64))\\n" | dmsetup --noudevsync --noudevrules create stick`;

test('a device on which sectors have gone bad: named, nothing is changed, and the agent goes on', async () => {
  const bundle = await release('bad-sectors', 100, `bad \${${data.replace('"data"', '"rotten"')}}`);
  await onLoop(bundle, (d) => `${inTheLargest(d)}; ${tableWith(d, 'error')}`);
  await vm.sh(`mount -o ro /dev/dm-0 ${others}`);
  await vm.until(`${journal('nixmaker')} | grep '"event":"deferred"' | grep medium-unreadable | grep -q EIO`);
  await vm.sh("! grep -q '^bad' /run/current-system/etc/motd && systemctl is-active nixmaker.service");
  // As a person would who is told that it is busy: the agent says what it found before it lets the file go.
  await vm.until(`umount ${others}`);
  await vm.sh('dmsetup --noudevsync remove stick; losetup --detach-all');
});

test('a device that stalls is left alone after its deadline; the next medium is taken', async () => {
  await onLoop(
    await release('stalled', 110, `stalled \${${data.replace('"data"', '"slow"')}}`),
    // What a device that is suspended is asked for, it gives once it is resumed.
    (d) =>
      `${inTheLargest(d)}; dmsetup --noudevsync --noudevrules create rest --table "0 64 linear ${d} $x"; dmsetup suspend --noflush --nolockfs rest; ${tableWith(d, 'linear /dev/dm-0 0')}`,
  );
  await vm.sh(`mount -o ro /dev/dm-1 ${others}`);
  await vm.until(`${journal('nixmaker')} | grep -q medium-silent`);
  await vm.sh("! grep -q '^stalled' /run/current-system/etc/motd");
  await vm.sh(
    'modprobe -r scsi_debug; modprobe scsi_debug dev_size_mb=96 removable=1 add_host=0 delay=0 per_host_store=0',
  );
  await prepare(
    await release('next', 120),
    `${clean} mkfs.vfat -F 32 /dev/sda >/dev/null; ${putOn('/dev/sda', 'vfat')}`,
  );
  const before = await told();
  await plug();
  await runs('next');
  await mayGo(before + 1);
  assert.equal(
    (await vm.sh(`${journal('nixmaker')} | grep -c medium-silent`)).trim(),
    '1',
    'it is named once',
  );
  await pull();
  await vm.sh(
    `dmsetup resume rest; umount ${others}; dmsetup --noudevsync remove stick; dmsetup --noudevsync remove rest; losetup --detach-all`,
  );
});

test('a mount whose device is gone is not mistaken for a medium', async () => {
  await prepare(
    await release('ghost', 130),
    `${clean} mkfs.vfat -F 32 /dev/sda >/dev/null; ${putOn('/dev/sda', 'vfat')}`,
  );
  // Nobody serves the visit before the stick is gone.
  await vm.sh(`systemctl stop nixmaker-receipts.path; systemctl mask --runtime nixmaker-medium@sda.service`);
  await plug();
  await vm.until('test -b /dev/sda');
  await vm.sh(`mount -o ro /dev/sda ${others}`);
  await runs('ghost');
  await vm.until('ls /run/nixmaker/visits/*.json');
  await pull();
  await vm.until('test ! -e /dev/sda');
  await vm.sh(`findmnt ${others} >/dev/null; systemctl start nixmaker-receipts.path`);
  await vm.until(`${journal('nixmaker-receipts')} | grep '"event":"medium-gone"' | grep -q ${others}`);
  await vm.sh(`umount --lazy ${others}; systemctl unmask --runtime nixmaker-medium@sda.service`);
});

test('all the while no unit has failed, and the figures are kept', async () => {
  assert.equal((await vm.sh('systemctl --failed --no-legend')).trim(), '');
  await keepTable('media', { figures });
});
