/**
 * Every file system that nixmaker mounts, with hostile superblocks, loops, and what is huge or too many: one disk with a
 * partition for each, plugged, and there at the start; beside them a good one, afterwards a good stick. The machine does not
 * panic, the agent lives on, and each is named once. User-mode Linux has no exFAT; usb.vm.ts mounts one.
 */
import assert from 'node:assert/strict';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { keepTable } from '../support/out.ts';
import { hostileExt4 } from './hostile/ext4.ts';
import { hostileIso } from './hostile/iso9660.ts';
import { hostileVfat } from './hostile/vfat.ts';
import {
  clean,
  folder,
  gone,
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
} from './media/scene.ts';

const sticks = [...hostileExt4, ...hostileVfat, ...hostileIso].map((stick, i) => ({
  ...stick,
  partition: `sda${i + 1}`,
}));
const beside = `sda${sticks.length + 1}`;
const images = join(folder, 'hostile');
const scsi = 'dev_size_mb=160 removable=1 delay=0 per_host_store=0';
const patience = 400_000;

await mkdir(images);
for (const { partition, make } of sticks) await make(join(images, partition));

/** Fills the disk: each image onto a partition of its own, the good release onto the last. */
async function prepareHostile(bundle: string): Promise<void> {
  const table = ['label: gpt'];
  for (const { partition } of sticks)
    table.push(`,${Math.ceil((await stat(join(images, partition))).size / 2 ** 20)}M`);
  assert.equal((await readdir(images)).length, sticks.length);
  await prepare(
    bundle,
    `${clean} printf "${[...table, ','].join('\\n')}\\n" | sfdisk --quiet --no-reread --no-tell-kernel /dev/sda; blockdev --rereadpt /dev/sda; until test -b /dev/${beside}; do sleep 0.05; done;
    for image in /host/hostile/*; do dd if=$image of=/dev/$(basename $image) bs=1M 2>/dev/null; done;
    mkfs.vfat -F 32 /dev/${beside} >/dev/null; ${putOn(`/dev/${beside}`, 'vfat')} sync; dd if=/dev/sda of=/root/hostile.img bs=1M conv=sparse 2>/dev/null;`,
  );
}

/** What was said of each partition since the machine was started. */
async function said(): Promise<Map<string, string[]>> {
  const units = ['nixmaker', 'nixmaker-receipts', "'nixmaker-medium@*'"].map((unit) => `--unit ${unit}`);
  const log = await vm.sh(`journalctl --no-pager --boot ${units.join(' ')} --output=cat`);
  const found = new Map(sticks.map(({ partition }) => [partition, [] as string[]]));
  const routine = ['medium-mounted', 'medium-done', 'receipts-written', undefined];
  for (const line of log.split('\n')) {
    const list = found.get(/(?:\/run\/media\/nixmaker|\/dev)\/(sda\d+)\b/.exec(line)?.[1] ?? '');
    const event = /"event":"([^"]+)"/.exec(line)?.[1];
    if (/can’t be mounted/.test(line)) list?.push('not-mounted');
    else if (!routine.includes(event)) list?.push(event ?? '');
  }
  return found;
}

/** Waits until of each was said what there is to say, and of those that are written to that they may go. */
async function lookedAt(): Promise<void> {
  const expected = sticks.map(({ said: word, isWritten, partition, name, fileSystem }) => ({
    of: `${partition} ${fileSystem}: ${name}`,
    said: [...(word === 'nothing' ? [] : [word].flat()), ...(isWritten ? ['medium-may-go'] : [])].sort(),
  }));
  const end = performance.now() + patience;
  for (;;) {
    const found = await said();
    const now = expected.map(({ of }, i) => ({
      of,
      said: (found.get(sticks[i]?.partition ?? '') ?? []).sort(),
    }));
    const isDone = expected.every((e, i) => e.said.every((word) => now[i]?.said.includes(word)));
    if (isDone || performance.now() > end) {
      await keepTable('hostile-media', { sticks: now });
      assert.deepEqual(now, expected);
      return;
    }
    await sleep(1000);
  }
}

/** What was mounted for reading only is byte for byte as it was. */
const untouched = () =>
  vm.sh(
    sticks
      .filter((s) => s.isWritten !== true && s.said !== 'not-mounted')
      .map(
        (s) =>
          `head -c $(stat -c %s /host/hostile/${s.partition}) /dev/${s.partition} | cmp - /host/hostile/${s.partition}`,
      )
      .join('\n'),
  );

const agent = () => vm.sh('systemctl show --property MainPID,NRestarts,ActiveState nixmaker');

async function goodStickIsTaken(name: string, sequence: number): Promise<void> {
  await prepare(
    await release(name, sequence),
    `${clean} mkfs.vfat -F 32 /dev/sda >/dev/null; ${putOn('/dev/sda', 'vfat')}`,
  );
  const before = await told();
  await plug();
  await runs(name);
  await mayGo(before + 1);
  await pull();
  await gone();
}

test('plugged: each is named once, nothing panics, the good one beside them is taken, and the next stick', async () => {
  await vm.sh(`modprobe -r scsi_debug; modprobe scsi_debug ${scsi} add_host=0`);
  await prepareHostile(await release('beside', 10));
  const before = await agent();
  await plug();
  await vm.until(`grep -q '^beside' /run/current-system/etc/motd`, patience);
  await lookedAt();
  await untouched();
  assert.equal(await agent(), before);
  await pull();
  await gone();
  await goodStickIsTaken('after', 20);
  assert.equal(await agent(), before);
});

test('what others have mounted with a panic on errors is left alone, and named once', async () => {
  const others = ['sda1', 'sda2', 'sda3'];
  const leftAlone = (name: string) =>
    `${journal('nixmaker')} | grep medium-left-alone | grep -c /run/media/others/${name}`;
  for (const name of others) {
    const place = `/run/media/others/${name}`;
    await vm.sh(
      `mkdir -p ${place}; cp /host/hostile/${name} /root/${name}; mount -t ext4 -o ro,loop /root/${name} ${place}`,
    );
    await vm.until(`test "$(${leftAlone(name)})" -ge 1`);
  }
  await goodStickIsTaken('beside-others', 25);
  for (const name of others) assert.equal((await vm.sh(leftAlone(name))).trim(), '1', name);
  await vm.sh('umount /run/media/others/sda*; rm /root/sda*');
});

test('there when the machine starts: the same, and the next stick is taken', async () => {
  // Before udev looks, so that it finds the disk as it finds one at any start.
  await vm.write(
    '/etc/systemd/system/hostile-disk.service',
    `[Unit]
DefaultDependencies=no
Before=systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd.service systemd-udev-trigger.service
[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/sh -euc 'modprobe sd_mod; modprobe scsi_debug ${scsi} add_host=1; until test -b /dev/sda; do sleep 0.05; done; dd if=/root/hostile.img of=/dev/sda bs=1M; blockdev --rereadpt /dev/sda'
`,
  );
  await vm.sh(
    'ln -s ../hostile-disk.service /etc/systemd/system/sysinit.target.wants/hostile-disk.service; sync',
  );
  vm.post('systemctl reboot');
  await vm.restarted();
  await lookedAt();
  assert.match(
    await agent(),
    /NRestarts=0\n(.*\n)*ActiveState=active|ActiveState=active\n(.*\n)*NRestarts=0/,
  );
  await pull();
  await gone();
  await goodStickIsTaken('after-start', 30);
});
