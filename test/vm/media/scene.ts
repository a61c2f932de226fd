/** The machine of media.vm.ts: udev, nixmaker-medium@.service, and a disk that can be plugged and pulled. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after } from 'node:test';
import { unitText } from '../../machines/bed.ts';
import { checkout, nixSystem, run } from '../../machines/program.ts';
import { Vm } from '../../machines/vm.ts';
import { bootCopy, makeDisk } from '../../machines/vm-target.ts';
import { makeWorkshop, plainHost } from '../../support/fleet.ts';

export const shop = await makeWorkshop();
after(() => Vm.cutAll());
export const data = `derivation { name = "data"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin"; args = [ "-c" "head -c 25165824 /dev/urandom >$out" ]; }`;
export const release = (name: string, sequence: number, motd = name) =>
  shop.bundle(name, { hosts: { web: plainHost('web', motd) }, args: ['--sequence', String(sequence)] });
const disk = await makeDisk(shop, 'golden', {
  kind: 'media',
  bundle: await release('old', 0),
  policy: { media: { mount: true } },
});
export const folder = join(shop.folder, 'machine');
export const vm = await bootCopy(disk, folder);
for (const unit of ['nixmaker-medium@.service', 'nixmaker-receipts.path', 'nixmaker-receipts.service'])
  await vm.write(`/etc/systemd/system/${unit}`, unitText(unit));
await vm.write(
  '/etc/udev/rules.d/90-nixmaker-media.rules',
  await readFile(join(checkout, 'systemd/udev/90-nixmaker-media.rules')),
);
await vm.write(
  '/etc/nixmaker/settings.json',
  JSON.stringify({ media: { roots: ['/run/media/others'], patience: 3 } }),
);
// A disk of 96 MiB that tells that it is removable; each time it is added it is another device with the same contents.
await vm.sh(
  'modprobe sd_mod; modprobe scsi_debug dev_size_mb=96 removable=1 add_host=0 delay=0 per_host_store=0; systemctl daemon-reload; udevadm control --reload; systemctl restart nixmaker-receipts.path nixmaker.service',
);

export const bus = '/sys/bus/pseudo/drivers/scsi_debug/add_host';
export const plug = () => vm.sh(`echo 1 >${bus}`);
export const pull = () => vm.sh(`echo -1 >${bus}`);
export const mounted = 'findmnt --list --noheadings --output TARGET | grep -q ^/run/media/nixmaker/';
export const gone = () => vm.until(`! ${mounted}`);
export const runs = (name: string) => vm.until(`grep -q '^${name}' /run/current-system/etc/motd`);
export const journal = (unit: string) => `journalctl --no-pager --unit ${unit} --output=cat`;
/** How often a person was told that a medium may go. */
export const told = async () =>
  Number((await vm.try(`${journal('nixmaker-receipts')} | grep -c medium-may-go`)).output);
export const mayGo = (count: number) =>
  vm.until(`test "$(${journal('nixmaker-receipts')} | grep -c medium-may-go)" -ge ${count}`);

export const udevd = 'systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd.service';

/** Prepares the disk with udev looking away. The script finds it as /dev/sda, and the bundle as /host/bundle.tar. */
export async function prepare(bundle: string | undefined, script: string): Promise<void> {
  if (bundle !== undefined) await copyFile(bundle, join(folder, 'bundle.tar'));
  await vm.sh(
    `systemctl stop ${udevd} 2>/dev/null; echo 1 >${bus}; until test -b /dev/sda; do sleep 0.05; done
    code=0; sh -euc '${script} sync' || code=$?
    echo -1 >${bus}; until test ! -e /dev/sda; do sleep 0.05; done; systemctl start ${udevd}; exit $code`,
    120_000,
  );
}
export const putOn = (device: string, type: string) =>
  `mount -t ${type} ${device} /mnt; nixmaker put /mnt /host/bundle.tar >/dev/null 2>&1; umount /mnt;`;
export const clean = 'dd if=/dev/zero of=/dev/sda bs=1M count=8 2>/dev/null;';

/** A file system with the bundle at its root, made on the host. */
export async function fill(bundle: string): Promise<void> {
  const files = join(shop.folder, 'stick');
  await rm(files, { recursive: true, force: true });
  await mkdir(files);
  await copyFile(bundle, join(files, 'web.tar'));
  const made = await run('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', files, join(folder, 'stick'), '90M']);
  assert.equal(made.code, 0, made.stderr);
  await prepare(undefined, 'dd if=/host/stick of=/dev/sda bs=1M conv=fsync 2>/dev/null;');
}

export const figures: Record<string, number> = {};

/** By the machine’s own clock: from the kernel’s word that the disk is gone to systemd’s that the mount is. Milliseconds. */
export async function unmountTime(): Promise<number> {
  const log = await vm.sh('journalctl --boot --no-pager --output=short-monotonic');
  const seconds = (pattern: RegExp) =>
    Number(/^\[ *([0-9.]+)\]/.exec(log.split('\n').findLast((line) => pattern.test(line)) ?? '')?.[1]);
  const gone = seconds(/\[sda\] Synchronizing SCSI cache/);
  return Math.round((seconds(/run-media-nixmaker-sda\.mount: Deactivated successfully/) - gone) * 1000);
}
