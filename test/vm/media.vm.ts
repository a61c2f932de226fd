/**
 * Media at a machine on which nobody else mounts them: udev, nixmaker-medium@.service, plugged, pulled, plugged again; file
 * systems and partition tables; devices that fail and devices that stall. What needs USB itself is in usb.vm.ts.
 */
import assert from 'node:assert/strict';
import { copyFile, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { unitText } from '../machines/bed.ts';
import { checkout, nixSystem, run } from '../machines/program.ts';
import { Vm } from '../machines/vm.ts';
import { bootCopy, makeDisk } from '../machines/vm-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';
import { keepTable } from '../support/out.ts';

const shop = await makeWorkshop();
after(() => Vm.cutAll());
const data = `derivation { name = "data"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin"; args = [ "-c" "head -c 25165824 /dev/urandom >$out" ]; }`;
const release = (name: string, sequence: number, motd = name) =>
  shop.bundle(name, { hosts: { web: plainHost('web', motd) }, args: ['--sequence', String(sequence)] });
const disk = await makeDisk(shop, 'golden', {
  kind: 'media',
  bundle: await release('old', 0),
  policy: { media: { mount: true } },
});
const folder = join(shop.folder, 'machine');
const vm = await bootCopy(disk, folder);
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

const bus = '/sys/bus/pseudo/drivers/scsi_debug/add_host';
const plug = () => vm.sh(`echo 1 >${bus}`);
const pull = () => vm.sh(`echo -1 >${bus}`);
const mounted = 'findmnt --list --noheadings --output TARGET | grep -q ^/run/media/nixmaker/';
const gone = () => vm.until(`! ${mounted}`);
const runs = (name: string) => vm.until(`grep -q '^${name}' /run/current-system/etc/motd`);
const journal = (unit: string) => `journalctl --no-pager --unit ${unit} --output=cat`;
/** How often a person was told that a medium may go. */
const told = async () =>
  Number((await vm.try(`${journal('nixmaker-receipts')} | grep -c medium-may-go`)).output);
const mayGo = (count: number) =>
  vm.until(`test "$(${journal('nixmaker-receipts')} | grep -c medium-may-go)" -ge ${count}`);

const udevd = 'systemd-udevd-control.socket systemd-udevd-kernel.socket systemd-udevd.service';

/** Prepares the disk with udev looking away. The script finds it as /dev/sda, and the bundle as /host/bundle.tar. */
async function prepare(bundle: string | undefined, script: string): Promise<void> {
  if (bundle !== undefined) await copyFile(bundle, join(folder, 'bundle.tar'));
  await vm.sh(
    `systemctl stop ${udevd} 2>/dev/null; echo 1 >${bus}; until test -b /dev/sda; do sleep 0.05; done
    code=0; sh -euc '${script} sync' || code=$?
    echo -1 >${bus}; until test ! -e /dev/sda; do sleep 0.05; done; systemctl start ${udevd}; exit $code`,
    120_000,
  );
}
const putOn = (device: string, type: string) =>
  `mount -t ${type} ${device} /mnt; nixmaker put /mnt /host/bundle.tar >/dev/null 2>&1; umount /mnt;`;
const clean = 'dd if=/dev/zero of=/dev/sda bs=1M count=8 2>/dev/null;';

/** A file system with the bundle at its root, made on the host. */
async function fill(bundle: string): Promise<void> {
  const files = join(shop.folder, 'stick');
  await rm(files, { recursive: true, force: true });
  await mkdir(files);
  await copyFile(bundle, join(files, 'web.tar'));
  const made = await run('mke2fs', ['-q', '-F', '-t', 'ext4', '-d', files, join(folder, 'stick'), '90M']);
  assert.equal(made.code, 0, made.stderr);
  await prepare(undefined, 'dd if=/host/stick of=/dev/sda bs=1M conv=fsync 2>/dev/null;');
}

const figures: Record<string, number> = {};

/** By the machine’s own clock: from the kernel’s word that the disk is gone to systemd’s that the mount is. Milliseconds. */
async function unmountTime(): Promise<number> {
  const log = await vm.sh('journalctl --boot --no-pager --output=short-monotonic');
  const seconds = (pattern: RegExp) =>
    Number(/^\[ *([0-9.]+)\]/.exec(log.split('\n').findLast((line) => pattern.test(line)) ?? '')?.[1]);
  const gone = seconds(/\[sda\] Synchronizing SCSI cache/);
  return Math.round((seconds(/run-media-nixmaker-sda\.mount: Deactivated successfully/) - gone) * 1000);
}

test('a stick is mounted read-only and harmless, its bundle taken, a receipt written, the stick let go', async () => {
  await fill(await release('from-stick', 10));
  await plug();
  await vm.until(mounted);
  const options = await vm.sh(
    'findmnt --list --noheadings --output TARGET,OPTIONS | grep ^/run/media/nixmaker/',
  );
  for (const option of ['ro', 'nosuid', 'nodev', 'noexec', 'nosymfollow'])
    assert.match(options, new RegExp(`[ ,]${option}(,|$)`, 'm'), options);
  await runs('from-stick');
  await mayGo(1);
  await gone();
  assert.equal(
    (await vm.sh('ls -A /run/media/nixmaker /run/nixmaker-receipts 2>/dev/null || true')).includes('sda'),
    false,
  );
  const console = await readFile(join(folder, 'console'), 'latin1');
  assert.match(console, /nixmaker: Sequence 11 is installed and runs\. You may remove the medium\./);
  await vm.sh(
    'mount -o ro /dev/sda /mnt; cat /mnt/nixmaker/receipts/web/11.json >/host/receipt.json; umount /mnt',
  );
  const receipt = JSON.parse(await readFile(join(folder, 'receipt.json'), 'utf8')) as { payload: string };
  const said = JSON.parse(Buffer.from(receipt.payload, 'base64').toString()) as {
    run: { state: string };
    now: { failedUnits: string[]; paths: { count: number } };
  };
  assert.equal(said.run.state, 'committed');
  assert.deepEqual(said.now.failedUnits, []);
  assert.ok(said.now.paths.count > 2);
  await pull();
});

test('pulled in the middle of an import the machine stays as it was; plugged in again the import is done', async () => {
  await fill(await release('large', 30, `large \${${data}}`));
  const before = await told();
  await plug();
  await vm.until('ls -d /nix/store/*-data >/dev/null 2>&1 || ls /nix/store/.tmp* >/dev/null 2>&1');
  await pull();
  const pulled = performance.now();
  await gone();
  figures['pulled to unmounted, ms'] = Math.round(performance.now() - pulled);
  figures['of that in the machine’s own log, ms'] = await unmountTime();
  // The figure is what counts; where two machines share a processor with other tests it is larger.
  assert.ok(performance.now() - pulled < 5000, `unmounted after ${performance.now() - pulled} ms`);
  await vm.until(
    `${journal('nixmaker')} | grep -E '"event":"(failed|deferred|committed)"' | tail -n 1 | grep -q "medium-unreadable"`,
  );
  await plug();
  await runs('large');
  await mayGo(before + 1);
  const verified = await vm.try('nix-store --verify --check-contents 2>&1');
  assert.doesNotMatch(verified.output, /modified|disappeared|error:/);
  await pull();
});

test('put onto a real FAT32, plugged in, taken, and the receipt lies on it', async () => {
  await prepare(
    await release('fat', 40),
    `${clean} mkfs.vfat -F 32 -n "BRIDGE 1" /dev/sda >/dev/null; ${putOn('/dev/sda', 'vfat')}`,
  );
  const before = await told();
  // Its label is what the policy asks for.
  const policy = await vm.sh('cat /etc/nixmaker/policy.json');
  const sources = { labels: ['BRIDGE 1'] };
  await vm.write('/etc/nixmaker/policy.json', JSON.stringify({ ...JSON.parse(policy), sources }));
  await vm.sh('systemctl restart nixmaker.service');
  await plug();
  await runs('fat');
  await mayGo(before + 1);
  await gone();
  assert.equal(
    await vm.sh('mount -o ro /dev/sda /mnt; ls /mnt /mnt/nixmaker/receipts/web; umount /mnt'),
    '/mnt:\nnixmaker\n\n/mnt/nixmaker/receipts/web:\n41.json\n41.txt\n',
  );
  await pull();
  await vm.write('/etc/nixmaker/policy.json', policy);
  await vm.sh('systemctl restart nixmaker.service');
});

test('several partitions: the one with bundles is read and let go, of the other nobody hears', async () => {
  await prepare(
    await release('partitions', 50),
    `${clean} printf "label: dos\\n,40M,c\\n,,83\\n" | sfdisk --quiet /dev/sda; until test -b /dev/sda2; do sleep 0.05; done;
    mkfs.vfat -F 32 /dev/sda1 >/dev/null; mount -t vfat /dev/sda1 /mnt; mkdir /mnt/DCIM; echo x >/mnt/DCIM/photo.jpg; umount /mnt;
    mkfs.ext4 -q /dev/sda2; ${putOn('/dev/sda2', 'ext4')}`,
  );
  const before = await told();
  await plug();
  await runs('partitions');
  await mayGo(before + 1);
  await vm.until('! findmnt /run/media/nixmaker/sda2 >/dev/null');
  assert.equal((await vm.try(`${journal('nixmaker')} | grep sda1`)).output, '');
  assert.equal(await told(), before + 1);
  await pull();
  await gone();
});

test('an ISO image on the bare device: taken; its receipt waits, for nothing can be written there', async () => {
  await prepare(
    await release('iso', 60),
    `${clean} rm -rf /root/iso; mkdir /root/iso; nixmaker put /root/iso /host/bundle.tar >/dev/null 2>&1; xorrisofs -quiet -R -o /root/image.iso /root/iso; dd if=/root/image.iso of=/dev/sda bs=1M conv=fsync 2>/dev/null;`,
  );
  const before = await told();
  await plug();
  await runs('iso');
  await mayGo(before + 1);
  await gone();
  assert.match(
    await vm.sh(`${journal('nixmaker-receipts')} | tail -n 20`),
    /medium-read-only.*receipts-wait/,
  );
  assert.match(await vm.sh('ls /var/lib/nixmaker/activation/outbox'), /^61\.json$/m);
  await pull();
});

test('several sticks that are there when the machine looks: the newest is taken, the waiting receipt goes along', async () => {
  await vm.sh(
    'modprobe -r scsi_debug; modprobe scsi_debug dev_size_mb=48 removable=1 add_host=0 delay=0 per_host_store=1',
  );
  const bundles = [await release('many-1', 70), await release('many-2', 80), await release('many-3', 90)];
  for (const [i, bundle] of bundles.entries()) await copyFile(bundle, join(folder, `many-${i}.tar`));
  const before = await told();
  const devices = ['sda', 'sdb', 'sdc', 'sdd'];
  await vm.sh(
    `systemctl stop ${udevd} 2>/dev/null; echo ${devices.length} >${bus}; ${devices
      .map((d) => `until test -b /dev/${d}; do sleep 0.05; done; mkfs.vfat -F 32 /dev/${d} >/dev/null`)
      .join(
        '; ',
      )}; for i in 0 1 2; do d=$(echo a b c | cut -d' ' -f$((i + 1))); mount -t vfat /dev/sd$d /mnt; nixmaker put /mnt /host/many-$i.tar >/dev/null 2>&1; umount /mnt; done; systemctl start ${udevd}; udevadm trigger --action=add --subsystem-match=block`,
    120_000,
  );
  await runs('many-3');
  await mayGo(before + 3);
  await vm.until(
    'test "$(findmnt --list --noheadings --output TARGET | grep -c ^/run/media/nixmaker/)" -eq 1',
  );
  const found = await vm.sh(
    'for d in a b c d; do mount -t vfat -o ro /dev/sd$d /mnt; ls /mnt/nixmaker/receipts/web 2>/dev/null | sed "s/^/sd$d /"; umount /mnt; done',
  );
  assert.match(found, /^sd[abc] 61\.json$/m, 'what had to wait');
  assert.match(found, /^sdc 91\.json$/m);
  assert.doesNotMatch(found, /^sdd/m, 'an empty stick is nobody’s');
  await vm.sh(`umount /run/media/nixmaker/sdd; echo -${devices.length} >${bus}`);
  await gone();
});

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

test('a device on which sectors have gone bad: named, nothing is changed, and the agent goes on', async () => {
  const bundle = await release('bad-sectors', 100, `bad \${${data.replace('"data"', '"rotten"')}}`);
  // 64 sectors, two megabytes into the largest file: metadata and small files lie elsewhere.
  await onLoop(
    bundle,
    (d) =>
      `mount -o ro ${d} /mnt; b=$(filefrag -v "$(ls -S /mnt/nixmaker/cache/nar/* | head -n 1)" | sed -n 's/^ *0: .*: *\\([0-9]*\\)\\.\\..*/\\1/p'); umount /mnt; x=$((b * 8 + 4096)); printf "0 $x linear ${d} 0\\n$x 64 error\\n$((x + 64)) $((${sectors} - x - 64)) linear ${d} $((x + 64))\\n" | dmsetup --noudevsync --noudevrules create stick`,
  );
  await vm.sh(`mount -o ro /dev/dm-0 ${others}`);
  await vm.until(`${journal('nixmaker')} | grep '"event":"deferred"' | grep medium-unreadable | grep -q EIO`);
  await vm.sh("! grep -q '^bad' /run/current-system/etc/motd && systemctl is-active nixmaker.service");
  await vm.sh(`umount ${others}; dmsetup --noudevsync remove stick; losetup --detach-all`);
});

test('a device that stalls is left alone after its deadline; the next medium is taken', async () => {
  await onLoop(
    await release('stalled', 110, `stalled \${${data.replace('"data"', '"slow"')}}`),
    (d) => `dmsetup --noudevsync --noudevrules create stick --table "0 ${sectors} linear ${d} 0"`,
  );
  await vm.sh(`mount -o ro /dev/dm-0 ${others}`);
  await vm.until('ls -d /nix/store/*-slow >/dev/null 2>&1 || ls /nix/store/.tmp* >/dev/null 2>&1');
  await vm.sh('dmsetup suspend --noflush --nolockfs stick; echo 3 >/proc/sys/vm/drop_caches');
  await vm.until(
    `${journal('nixmaker')} | grep -q medium-silent || grep -q '^stalled' /run/current-system/etc/motd`,
  );
  const { output } = await vm.try(`${journal('nixmaker')} | grep -c medium-silent`);
  assert.equal(output.trim(), '1', 'it was read to its end before it stalled');
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
  await pull();
  await vm.sh(
    `dmsetup resume stick; umount ${others}; dmsetup --noudevsync remove stick; losetup --detach-all`,
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
