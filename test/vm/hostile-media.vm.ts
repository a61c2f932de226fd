/**
 * Every file system that nixmaker mounts, with hostile superblocks, loops, and what is huge or too many: one disk with a
 * partition for each, plugged, and there at the start; beside them a good one, afterwards a good stick. Whatever the kernel makes of
 * them: no panic, the agent lives on, what can’t be used is named once, and nothing is written where no receipt is due.
 * User-mode Linux has no exFAT; hot-plug.vm.ts has it.
 */
import assert from 'node:assert/strict';
import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { allCases } from '../support/cases.ts';
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

const sticks = [...hostileExt4, ...hostileVfat, ...hostileIso]
  .filter(({ isRare }) => allCases || isRare !== true)
  .map((stick, i) => ({ ...stick, partition: `sda${i + 1}` }));
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

/** What names a medium that can’t be used, or a file on it. */
const naming = ['not-mounted', 'medium-unreadable', 'medium-silent', 'passed-over', 'receipts-wait'];
const routine = ['medium-mounted', 'medium-done', 'receipts-written', 'medium-without-receipt'];

/** What was said of each partition since the machine was started. */
async function said(): Promise<Map<string, string[]>> {
  const units = ['nixmaker', 'nixmaker-receipts', "'nixmaker-medium@*'"].map((unit) => `--unit ${unit}`);
  const log = await vm.sh(`journalctl --no-pager --boot ${units.join(' ')} --output=cat`);
  const found = new Map(sticks.map(({ partition }) => [partition, [] as string[]]));
  for (const line of log.split('\n')) {
    const list = found.get(/(?:\/run\/media\/nixmaker|\/dev)\/(sda\d+)\b/.exec(line)?.[1] ?? '');
    const event = /"event":"([^"]+)"/.exec(line)?.[1];
    const file = /"source":"([^"]+)"/.exec(line)?.[1];
    if (/cannot mount/.test(line)) list?.push('not-mounted');
    else if (event !== undefined && !routine.includes(event))
      list?.push(file === undefined ? event : `${event} ${file}`);
  }
  return found;
}

const isNaming = (word: string) => naming.includes(word.split(' ')[0] ?? '');

/** Everything is mounted that can be, and the agent has looked at all of it. */
async function allLookedAt(name: string): Promise<void> {
  await vm.until(
    `udevadm settle && ! systemctl list-jobs --no-legend | grep -q 'nixmaker-medium@' && test -z "$(systemctl list-units --no-legend --state=activating 'nixmaker-medium@*')"`,
    patience,
  );
  // The second is refused after media were looked at, which was after all were mounted. They are no bundles; what is short is waited for.
  const inbox = '/var/lib/nixmaker/inbox';
  for (const n of [1, 2]) {
    await vm.sh(`head -c 2048 /dev/urandom >${inbox}/.x; mv ${inbox}/.x ${inbox}/${name}-${n}.tar`);
    await vm.until(`test -e ${inbox}/refused/${name}-${n}.tar.txt`, patience);
  }
}

/** Waits until of each was said what there is to say. */
async function named(): Promise<void> {
  const end = performance.now() + patience;
  for (;;) {
    const now = await said();
    const left = sticks.filter(({ partition, named: must, hasPool }) => {
      const words = now.get(partition) ?? [];
      const isToBeNamed = must === 'must' && !words.some(isNaming);
      return isToBeNamed || (hasPool === true && !/medium-may-go|not-mounted/.test(words.join()));
    });
    if (left.length === 0) return;
    assert.ok(performance.now() < end, JSON.stringify(left.map((s) => [s, now.get(s.partition)])));
    await sleep(1000);
  }
}

const table: Record<string, unknown>[] = [];

/** Each once, and nothing but words for it. */
async function namedOnce(when: string): Promise<void> {
  const words = await said();
  for (const { partition, fileSystem, name } of sticks) {
    const list = words.get(partition) ?? [];
    table.push({ when, stick: `${partition} ${fileSystem}: ${name}`, said: list });
    const of = `${when}, ${partition} ${fileSystem}, ${name}: ${list.join(', ')}`;
    assert.deepEqual(list, [...new Set(list)], of);
    assert.ok(
      list.every((word) => isNaming(word) || word === 'medium-may-go'),
      of,
    );
  }
  await keepTable('hostile-media', { sticks: table });
}

/**
 * What no receipt was due on is byte for byte as it was: on the medium itself, pulled out and plugged in where nobody looks, for of one
 * that is mounted the kernel shows what it would have written.
 */
async function untouched(): Promise<void> {
  const words = await said();
  const sums = sticks
    .filter(({ partition }) => words.get(partition)?.includes('medium-may-go') !== true)
    .map(({ partition }) => {
      const image = `/host/hostile/${partition}`;
      const sum = `$(head -c $(stat -c %s ${image}) /dev/${partition} | sha256sum)`;
      return `test "${sum}" = "$(sha256sum <${image})" || { echo ${partition} was written to; exit 1; }`;
    });
  assert.ok(sums.length > 5);
  await prepare(undefined, `until test -b /dev/${beside}; do sleep 0.05; done\n${sums.join('\n')}\n`);
}

const agent = async () =>
  (await vm.sh('systemctl show --property MainPID,NRestarts,ActiveState nixmaker')).split('\n').sort();

async function goodStickIsTaken(name: string, sequence: number): Promise<void> {
  await prepare(
    await release(name, sequence),
    `${clean} blockdev --rereadpt /dev/sda; mkfs.vfat -I -F 32 /dev/sda >/dev/null; ${putOn('/dev/sda', 'vfat')}`,
  );
  const before = await told();
  await plug();
  await runs(name);
  await mayGo(before + 1);
  await pull();
  await gone();
}

test('plugged: what can’t be used is named once, nothing panics, the good one beside them is taken, and the next stick', async () => {
  await vm.sh(`modprobe -r scsi_debug; modprobe scsi_debug ${scsi} add_host=0`);
  await prepareHostile(await release('beside', 10));
  const before = await agent();
  await plug();
  await vm.until(`grep -q '^beside' /run/current-system/etc/motd`, patience);
  await allLookedAt('plugged');
  await named();
  await namedOnce('plugged');
  assert.deepEqual(await agent(), before);
  await pull();
  await gone();
  await untouched();
  await goodStickIsTaken('after', 20);
  assert.deepEqual(await agent(), before);
});

test('what others have mounted with a panic on errors is left alone, and named once', async () => {
  const others = sticks
    .filter(({ fileSystem, name }) => fileSystem === 'ext4' && /errors=panic|both/.test(name))
    .map(({ partition }) => partition);
  const before = await agent();
  const place = (name: string) => `/run/media/others/${name}`;
  const sums = `cd /root; sha256sum ${others.join(' ')}`;
  const leftAlone = (name: string) =>
    `${journal('nixmaker')} | grep medium-left-alone | grep -c ${place(name)}`;
  for (const name of others)
    await vm.sh(
      `mkdir -p ${place(name)}; cp /host/hostile/${name} /root/${name}; mount -t ext4 -o ro,loop /root/${name} ${place(name)}`,
    );
  const bytes = await vm.sh(sums);
  for (const name of others) await vm.until(`test "$(${leftAlone(name)})" -ge 1`);
  await goodStickIsTaken('beside-others', 25);
  for (const name of others) assert.equal((await vm.sh(leftAlone(name))).trim(), '1', name);
  await vm.sh(others.map((name) => `umount ${place(name)}`).join('\n'));
  assert.equal(await vm.sh(sums), bytes);
  await vm.sh(`cd /root; rm ${others.join(' ')}`);
  assert.deepEqual(await agent(), before);
});

// Two minutes and a half.
if (allCases) test('there when the machine starts: the same, and the next stick is taken', atStart);

async function atStart(): Promise<void> {
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
  await vm.until('systemctl is-active nixmaker', patience);
  const before = await agent();
  assert.ok(before.includes('NRestarts=0'), before.join(' '));
  await allLookedAt('at-start');
  await named();
  await namedOnce('at the start');
  assert.deepEqual(await agent(), before);
  await pull();
  await gone();
  await untouched();
  await goodStickIsTaken('after-start', 30);
  assert.deepEqual(await agent(), before);
}
