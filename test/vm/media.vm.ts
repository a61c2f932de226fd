/** Sticks at a machine on which nobody else mounts them: udev, nixmaker-medium@.service, plugged, pulled, plugged again. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { checkout, nixSystem, run } from '../../scripts/sandboxed-target.ts';
import { unitText } from '../support/bed.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { Vm } from '../support/vm.ts';
import { bootCopy, makeDisk } from '../support/vm-target.ts';

const shop = await makeWorkshop();
after(() => Vm.cutAll());
const data = `derivation { name = "data"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin"; args = [ "-c" "head -c 25165824 /dev/urandom >$out" ]; }`;
const release = (name: string, sequence: number, motd = name) =>
  shop.bundle(name, { hosts: { web: plainHost('web', motd) }, args: ['--sequence', String(sequence)] });
const disk = await makeDisk(shop, 'golden', {
  kind: 'media',
  bundle: await release('old', 0),
  policy: { media: { mount: true, fileSystems: ['vfat', 'ext4'] } },
});
const folder = join(shop.folder, 'machine');
const vm = await bootCopy(disk, folder);
await vm.write('/etc/systemd/system/nixmaker-medium@.service', unitText('nixmaker-medium@.service'));
await vm.write(
  '/etc/udev/rules.d/90-nixmaker-media.rules',
  await readFile(join(checkout, 'systemd/udev/90-nixmaker-media.rules')),
);
// A disk of 64 MiB that tells that it is removable; each time it is added it is another device with the same contents.
await vm.sh(
  'for m in scsi_common scsi_mod sd_mod; do insmod /usr/lib/uml/$m.ko; done; insmod /usr/lib/uml/scsi_debug.ko dev_size_mb=64 removable=1 add_host=0 delay=0 per_host_store=0; systemctl daemon-reload; udevadm control --reload',
);

const bus = '/sys/bus/pseudo/drivers/scsi_debug/add_host';
const plug = () => vm.sh(`echo 1 >${bus}`);
const pull = () => vm.sh(`echo -1 >${bus}`);
const mounted = 'findmnt --list --noheadings --output TARGET | grep -q ^/run/media/nixmaker/';

/** Writes a file system with the bundle to the disk, with udev looking away. */
async function fill(bundle: string): Promise<void> {
  const files = join(shop.folder, 'stick');
  await run('rm', ['-rf', files]);
  await mkdir(files);
  await copyFile(bundle, join(files, 'web.tar'));
  const made = await run('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', files, join(folder, 'stick'), '60M']);
  assert.equal(made.code, 0, made.stderr);
  await vm.sh(
    `systemctl stop systemd-udevd systemd-udevd-control.socket systemd-udevd-kernel.socket; echo 1 >${bus}; until test -b /dev/sda; do sleep 0.05; done; dd if=/host/stick of=/dev/sda bs=1M conv=fsync 2>/dev/null; echo -1 >${bus}; systemctl start systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd`,
  );
}

test('a stick is mounted read-only and harmless, its bundle taken, and the stick let go when it is pulled', async () => {
  await fill(await release('from-stick', 10));
  await plug();
  await vm.until('grep -q from-stick /run/current-system/etc/motd');
  const options = await vm.sh(
    'findmnt --list --noheadings --output TARGET,OPTIONS | grep ^/run/media/nixmaker/',
  );
  for (const option of ['ro', 'nosuid', 'nodev', 'noexec', 'nosymfollow'])
    assert.match(options, new RegExp(`[ ,]${option}(,|$)`, 'm'), options);
  await pull();
  await vm.until(`! ${mounted}`);
  assert.equal((await vm.sh('ls -A /run/media/nixmaker')).trim(), '');
});

test('pulled in the middle of an import the machine stays as it was; plugged in again the import is done', async () => {
  await fill(await release('large', 30, `large \${${data}}`));
  await plug();
  await vm.until('ls -d /nix/store/*-data >/dev/null 2>&1 || ls /nix/store/.tmp* >/dev/null 2>&1');
  await pull();
  await vm.until(`! ${mounted}`);
  await vm.until(
    'journalctl --no-pager --unit nixmaker --output=cat | grep -E \'"event":"(failed|deferred|committed)"\' | tail -n 1 | grep -qE "sequence\\":31|io-error"',
  );
  await plug();
  await vm.until('grep -q ^large /run/current-system/etc/motd');
  const verified = await vm.try('nix-store --verify --check-contents 2>&1');
  assert.doesNotMatch(verified.output, /modified|disappeared|error:/);
});
