/**
 * Every file system that nixmaker mounts, with hostile superblocks, loops, and what is huge or too many: one disk with a
 * partition for each, plugged and there at the start; beside them a good one, afterwards a good stick. The machine does not
 * panic, the agent lives on, and each is named once. exFAT is in usb.vm.ts, for user-mode Linux has none.
 */
import assert from 'node:assert/strict';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { run } from '../machines/program.ts';
import { keepTable } from '../support/out.ts';
import { hostileExt4 } from './hostile/ext4.ts';
import { hostileIso } from './hostile/iso9660.ts';
import { hostileVfat } from './hostile/vfat.ts';
import {
  bus,
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
const early = 'hostile-disk.service';

await mkdir(join(folder, 'hostile'));
for (const { partition, make } of sticks) await make(join(folder, 'hostile', partition));
const sizes = await run('sh', ['-c', `cd ${folder}/hostile && stat --format '%n %s' *`]);
assert.equal(sizes.code, 0, sizes.stderr);
const megabytes = new Map(
  sizes.stdout
    .trim()
    .split('\n')
    .map((line) => [line.split(' ')[0] ?? '', Math.ceil(Number(line.split(' ')[1]) / 2 ** 20)]),
);

/** Fills the disk: each image onto a partition of its own, the good release onto the last. */
async function prepareHostile(bundle: string): Promise<void> {
  const table = ['label: gpt', ...sticks.map((s) => `,${megabytes.get(s.partition)}M`), ','].join('\\n');
  await prepare(
    bundle,
    `${clean} printf "${table}\\n" | sfdisk --quiet --no-reread --no-tell-kernel /dev/sda; blockdev --rereadpt /dev/sda; until test -b /dev/${beside}; do sleep 0.05; done;
    for image in /host/hostile/*; do dd if=$image of=/dev/$(basename $image) bs=1M 2>/dev/null; done;
    mkfs.vfat -F 32 /dev/${beside} >/dev/null; ${putOn(`/dev/${beside}`, 'vfat')} sync; dd if=/dev/sda of=/root/hostile.img bs=1M conv=sparse 2>/dev/null;`,
  );
}

/** What was said of a partition since the machine was started, a line each. */
async function saidOf(partition: string): Promise<string[]> {
  const agent = `journalctl --no-pager --boot --unit nixmaker --output=cat | grep -E '/${partition}["/ ]' || true`;
  const unit = `journalctl --no-pager --boot --unit nixmaker-medium@${partition} --output=cat | grep io-error || true`;
  const text = await vm.sh(`${agent}; ${unit}`);
  return text
    .split('\n')
    .filter((line) => line !== '')
    .flatMap((line) => {
      const event = /"event":"([^"]+)"/.exec(line)?.[1] ?? '';
      if (line.includes('io-error')) return ['not-mounted'];
      return event === 'medium-done' ? [] : [event];
    });
}

async function isNamedOnce(): Promise<Record<string, string[]>> {
  const table: Record<string, string[]> = {};
  for (const { name, fileSystem, partition } of sticks)
    table[`${fileSystem} ${partition}: ${name}`] = await saidOf(partition);
  return table;
}

const agentPid = async () => (await vm.sh('systemctl show --property MainPID,NRestarts nixmaker')).trim();

test('look', async () => {
  await vm.sh(
    'modprobe -r scsi_debug; modprobe scsi_debug dev_size_mb=160 removable=1 add_host=0 delay=0 per_host_store=0',
  );
  await prepareHostile(await release('beside', 10));
  const pid = await agentPid();
  await plug();
  const t0=performance.now(); try { await runs('beside'); } catch(e) { console.log(String(e).slice(0,300)); } console.log('beside', performance.now()-t0);
  await vm.until(`test -z "$(systemctl list-jobs --no-legend | grep nixmaker-medium)"`);
  await vm.try('sleep 40');
  console.log(JSON.stringify(await isNamedOnce(), null, 1));
  console.log(await vm.sh('journalctl --no-pager --boot -k --output=cat | tail -n 150'));
  console.log(await vm.sh(`${journal('nixmaker')} | tail -n 150`));
  console.log(await vm.sh(`${journal('nixmaker-receipts')} | tail -n 50`));
  console.log(await vm.sh(`systemctl --failed; cd /host/hostile; for i in *; do dd if=/dev/$i bs=1M count=99 2>/dev/null | head -c $(stat -c %s $i) | cmp - $i || true; done`));
  assert.equal(await agentPid(), pid);
});
