/**
 * Media of which the machine hears in other ways than sticks: discs and cards in drives and readers that stay, of which nothing comes but a
 * `change`; and SD cards in a host of their own, none of which says that it is removable. On a real udev, in QEMU.
 */
import assert from 'node:assert/strict';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { nixSystem } from '../machines/program.ts';
import { Qemu } from '../machines/qemu.ts';
import {
  makeCard,
  makeDisc,
  makeQemuDisk,
  makeStick,
  partitioned,
  readFromVfat,
} from '../machines/qemu-target.ts';
import { allCases } from '../support/cases.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { moduleOutput } from '../support/module-output.ts';

const shop = await makeWorkshop();
after(() => Qemu.cutAll());
const folder = join(shop.folder, 'machine');
const blob = (name: string) =>
  `\${derivation { name = "data-${name}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "head -c 1048576 /dev/urandom >$out" ]; }}`;

/** A folder with a pool, as `put` makes it. */
async function pool(name: string, sequence: number): Promise<string> {
  const bundle = await shop.bundle(name, {
    hosts: { web: `mkSystem { hostName = "web"; motd = "${name} ${blob(name)}"; }` },
    args: ['--sequence', String(sequence - 1)],
  });
  const desk = join(shop.folder, 'desk', name);
  await mkdir(desk, { recursive: true });
  const put = await shop.builder.nixmaker(['put', desk, bundle]);
  assert.equal(put.code, 0, put.stderr);
  return desk;
}

const names = ['sd', 'sd-next', 'disc', 'disc-next', 'card', 'card-next'] as const;
const pools = Object.fromEntries(
  await Promise.all(names.map(async (name, i) => [name, await pool(name, (i + 1) * 10)] as const)),
) as Record<(typeof names)[number], string>;
await makeQemuDisk(folder, {
  output: await moduleOutput(
    shop.builder,
    join(shop.folder, 'module'),
    `{ services.nixmaker = {
         enable = true;
         trustedPublicKeys = [ "${shop.keys.publicKey}" ];
         policy.operation = "switch";
         media.enable = true;
       }; }`,
  ),
});
const image = (name: string) => join(folder, `${name}.img`);
await makeStick(image('blank'), 'vfat');
await writeFile(image('blank'), Buffer.alloc(64 * 2 ** 20));
for (const name of ['sd', 'sd-next'] as const) await makeCard(image(name), pools[name]);
for (const name of ['disc', 'disc-next'] as const) await makeDisc(image(name), pools[name]);
for (const name of ['card', 'card-next'] as const) {
  await makeStick(image('part'), 'vfat', pools[name]);
  await writeFile(image(name), partitioned([await readFile(image('part'))]));
}

const sd = 'sd0';
const machine = await Qemu.boot(folder, [
  ...['-drive', 'if=none,id=first,format=raw,file=/tmp/work/sd.img,file.locking=off'],
  ...['-device', 'sdhci-pci,id=host', '-device', `sd-card,id=${sd},drive=first`],
]);
const long = 480_000;
const logOf = (unit: string) => `journalctl --no-pager --unit ${unit} --output=cat`;
const runs = (name: string) => machine.until(`grep -q '^${name} ' /run/current-system/etc/motd`, long);
const mounted = (at: string) => machine.until(`findmnt /run/media/nixmaker/${at} >/dev/null`, long);
const gone = () =>
  machine.until('! findmnt --list --noheadings --output TARGET | grep ^/run/media/nixmaker/', long);
const told = async () =>
  Number((await machine.try(`${logOf('nixmaker-receipts')} | grep -c medium-may-go`)).output);
const mayGo = (count: number) =>
  machine.until(`test "$(${logOf('nixmaker-receipts')} | grep -c medium-may-go)" -ge ${count}`, long);

test('an SD card that is in its host when the machine starts is taken, and its receipt lies on it', async () => {
  await machine.sh('systemctl is-system-running --wait || true', long);
  await machine.sh('udevadm verify /etc/udev/rules.d/*.rules');
  await machine.until('test -b /dev/mmcblk0', long);
  assert.equal((await machine.sh('cat /sys/block/mmcblk0/removable')).trim(), '0');
  // As on any machine with udev: the kernel looks by itself whether a drive has another medium.
  assert.equal((await machine.sh('cat /sys/module/block/parameters/events_dfl_poll_msecs')).trim(), '2000');
  const units =
    'nixmaker-activate.path nixmaker-receipts.path nixmaker-confirm.service nixmaker-activate.service nixmaker.service';
  await machine.sh(`systemctl enable --now ${units}`, long);
  await runs('sd');
  await mayGo(1);
  await gone();
  await machine.takeOut(sd);
  await machine.until('test ! -e /dev/mmcblk0', long);
  const report = await readFromVfat(image('sd'), '/nixmaker/receipts/web/10.txt');
  assert.match(report.toString(), /^DONE\n/);
});

// Most of a minute; to udev it is the first again.
if (allCases)
  test('so is the next card in the same host', async () => {
    const before = await told();
    await machine.insert(sd, { image: 'sd-next.img' });
    await runs('sd-next');
    await mayGo(before + 1);
    await gone();
  });

test('a disc in a drive that was empty is taken, and after the eject button the next one is', async () => {
  const before = await told();
  const drive = await machine.plugReader('disc', 'blank.img');
  await machine.until('test -b /dev/sr0', long);
  await machine.insert(drive, { image: 'disc.img', readOnly: true });
  await mounted('sr0');
  await runs('disc');
  await mayGo(before + 1);
  await gone();
  await machine.pressEject(drive);
  await machine.until(
    '! cdrom_id=$(/usr/lib/udev/cdrom_id /dev/sr0) || ! echo "$cdrom_id" | grep -q ID_CDROM_MEDIA=1',
    long,
  );
  await machine.takeOut(drive).catch(() => undefined);
  await machine.insert(drive, { image: 'disc-next.img', readOnly: true });
  await runs('disc-next');
  await mayGo(before + 2);
  await gone();
});

test('a card in a reader that stays: pulled while it is read, its mount goes, and the next card is taken', async () => {
  const before = await told();
  const reader = await machine.plugReader('card', 'blank.img');
  await machine.until('test -b /dev/sda', long);
  await machine.takeOut(reader);
  await machine.until('test "$(cat /sys/block/sda/size)" = 0', long);
  await machine.insert(reader, { image: 'card.img', speed: 200_000 });
  await mounted('sda1');
  await machine.takeOut(reader);
  await gone();
  await machine.sh("! grep -q '^card' /run/current-system/etc/motd");
  await machine.insert(reader, { image: 'card-next.img' });
  await runs('card-next');
  await mayGo(before + 1);
  await gone();
  const { output } = await machine.try('systemctl --failed --no-legend');
  assert.equal(output.trim(), '');
});
