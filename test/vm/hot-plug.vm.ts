/**
 * Real USB sticks at a machine in QEMU, set up by the NixOS module’s own output, on which nobody else mounts media: hot-plugged with three file systems, pulled in the
 * middle of imports and plugged again, two at once, and the power cut while a stick is being read, the drive's cache lost.
 */
import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { nixSystem } from '../machines/program.ts';
import { Qemu } from '../machines/qemu.ts';
import { makeMediaDisk, makePool, makeStick, partitioned, readFromVfat } from '../machines/qemu-target.ts';
import { allCases } from '../support/cases.ts';
import { makeWorkshop } from '../support/fleet.ts';
import { hostileExfat } from './hostile/exfat.ts';

const shop = await makeWorkshop();
after(() => Qemu.cutAll());
const folder = join(shop.folder, 'machine');

/** A system with three paths of a megabyte each that no other release has. */
const release = (name: string, sequence: number) => {
  const builder = `head -c 1048576 /dev/urandom >$out`;
  const path = (i: number) =>
    `\${derivation { name = "data-${name}-${i}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "${builder}" ]; }}`;
  return shop.bundle(name, {
    hosts: { web: `mkSystem { hostName = "web"; motd = "${name} ${[1, 2, 3].map(path).join(' ')}"; }` },
    args: ['--sequence', String(sequence - 1)],
  });
};

const names = ['vfat', 'exfat', 'ext4', 'third', 'older', 'newer', 'cut'] as const;
const pools = Object.fromEntries(
  await Promise.all(
    names.map(
      async (name, i) => [name, await makePool(shop, name, await release(name, (i + 1) * 10))] as const,
    ),
  ),
) as Record<(typeof names)[number], string>;

await makeMediaDisk(shop, folder, {
  media: '{ enable = true; fileSystems = [ "vfat" "exfat" "ext4" ]; }',
  folders: { '/root/exfat': pools.exfat },
});
await makeStick(join(folder, 'vfat.img'), 'vfat', pools.vfat);
await makeStick(join(folder, 'exfat.img'), 'exfat');
await makeStick(join(folder, 'ext4.img'), 'ext4', pools.ext4);
for (const name of ['third', 'older', 'newer', 'cut'] as const)
  await makeStick(join(folder, `${name}.img`), 'vfat', pools[name]);

let machine = await Qemu.boot(folder);
const long = 480_000;
const figures: Record<string, number> = {};
const runs = (name: string) => machine.until(`grep -q '^${name} ' /run/current-system/etc/motd`, long);
const mounts = 'findmnt --list --noheadings --output TARGET | grep ^/run/media/nixmaker/';
const gone = () => machine.until(`! ${mounts}`, long);
const mayGo = (count: number) =>
  machine.until(
    `test "$(journalctl --no-pager --unit nixmaker-receipts --output=cat | grep -c medium-may-go)" -ge ${count}`,
    long,
  );
const consoleText = () => readFile(join(folder, 'console'), 'latin1');

test('an exFAT stick can be filled at this machine, which leaves it alone without nixmaker', async () => {
  await machine.sh('systemctl is-system-running --wait || true', long);
  await machine.sh(
    'udevadm verify /etc/udev/rules.d/*.rules; systemd-tmpfiles --dry-run --create 10-nixmaker.conf',
  );
  const stick = await machine.plug({ image: 'exfat.img' });
  await machine.until('test -b /dev/sda', long);
  await machine.sh('mount -t exfat /dev/sda /mnt; cp -r /root/exfat/. /mnt/; umount /mnt', long);
  await machine.pull(stick);
  await machine.until('test ! -e /dev/sda', long);
  await machine.sh(
    'systemctl enable --now nixmaker-activate.path nixmaker-receipts.path nixmaker-confirm.service nixmaker-activate.service nixmaker.service',
    long,
  );
  await machine.until('journalctl --no-pager --unit nixmaker --output=cat | grep -q agent-ready', long);
});

test('vfat: plugged, committed, a receipt on the stick, and a person at the console is told that it may go', async () => {
  const plugged = performance.now();
  const stick = await machine.plug({ image: 'vfat.img' });
  await runs('vfat');
  figures['vfat: plugged to running, s'] = Math.round((performance.now() - plugged) / 1000);
  await mayGo(1);
  await gone();
  assert.match(
    await consoleText(),
    /nixmaker: Sequence 10 is installed and running\. You may remove the medium\./,
  );
  assert.match(await consoleText(), /nixmaker: Reading the medium\./);
  await machine.pull(stick);
  const report = await readFromVfat(join(folder, 'vfat.img'), '/nixmaker/receipts/web/10.txt');
  assert.match(report.toString(), /^DONE\n/);
  const back = join(shop.folder, 'back/nixmaker/receipts/web');
  await mkdir(back, { recursive: true });
  await writeFile(
    join(back, '10.json'),
    await readFromVfat(join(folder, 'vfat.img'), '/nixmaker/receipts/web/10.json'),
  );
  const collected = await shop.builder.nixmaker([
    'collect',
    join(shop.folder, 'back'),
    '-d',
    join(shop.folder, 'fleet'),
    '--enrol',
  ]);
  assert.match(collected.stdout, /^web +10 +done +new, host enrolled$/m, collected.stderr);
});

/** What tells that the import has come so far: the bundle is accepted, the first path is being written, two are there. */
const moments = {
  exfat: `journalctl --no-pager --unit nixmaker --output=cat | grep -q '"sequence":20.*"event":"accepted"'`,
  ext4: 'ls -d /nix/store/*-data-ext4-* >/dev/null 2>&1',
  third: 'test "$(ls -d /nix/store/*-data-third-? | wc -l)" -ge 2',
} as const;

for (const [name, moment] of Object.entries(moments)) {
  // Minutes each, by emulation; the moments that come later are much like the first. What media.vm.ts pulls is no USB stick, but in seconds.
  if (name !== 'exfat' && !allCases) continue;
  const before = { exfat: 'vfat', ext4: 'exfat', third: 'ext4' }[name] ?? '';
  test(`${name}: pulled in the middle of an import nothing is changed; plugged again it is done, with its receipt`, async (t) => {
    try {
      await pulledMidway();
    } catch (error) {
      // Of which nothing is known now that sticks are detached: a power cut, and the case again.
      if (!(await machine.hasCrashed())) throw error;
      t.diagnostic(`QEMU has crashed, once more: ${error}`);
      machine = await Qemu.boot(folder);
      await pulledMidway();
    }
  });

  async function pulledMidway(): Promise<void> {
    const image = `${name}.img`;
    const stick = await machine.plug({ image, speed: 400_000 });
    await machine.until(moment, long);
    await machine.pull(stick);
    const pulled = performance.now();
    await gone();
    figures[`${name}: pulled to unmounted, s`] = Math.round((performance.now() - pulled) / 100) / 10;
    await machine.until(
      `journalctl --no-pager --unit nixmaker --output=cat | grep -E '"event":"(deferred|committed)"' | tail -n 1 | grep -q medium-unreadable`,
      long,
    );
    await machine.sh(`grep -q '^${before} ' /run/current-system/etc/motd`);
    const count = Number(
      await machine.sh(
        'journalctl --no-pager --unit nixmaker-receipts --output=cat | grep -c medium-may-go || true',
      ),
    );
    const again = await machine.plug({ image });
    await runs(name);
    await mayGo(count + 1);
    await gone();
    await machine.pull(again);
  }
}

if (allCases) test('two sticks at once: the newer bundle is taken, and both may go', twoSticks);

async function twoSticks(): Promise<void> {
  const count = Number(
    await machine.sh(
      'journalctl --no-pager --unit nixmaker-receipts --output=cat | grep -c medium-may-go || true',
    ),
  );
  const sticks = [await machine.plug({ image: 'older.img' }), await machine.plug({ image: 'newer.img' })];
  await runs('newer');
  await mayGo(count + 2);
  await gone();
  for (const stick of sticks) await machine.pull(stick);
}

// User-mode Linux has no exFAT, so these are not in hostile-media.vm.ts.
if (allCases)
  test('hostile exFAT: nothing panics, what can’t be used is named once, the agent lives on', async () => {
    const images = await Promise.all(
      hostileExfat.map(async ({ make }, i) => {
        const image = join(shop.folder, `hostile-${i}`);
        await make(image);
        return readFile(image);
      }),
    );
    await writeFile(join(folder, 'hostile.img'), partitioned(images));
    const agent = () => machine.sh('systemctl show --property MainPID,NRestarts,ActiveState nixmaker');
    const before = await agent();
    const stick = await machine.plug({ image: 'hostile.img' });
    await machine.until(`test -b /dev/sda${images.length}`, long);
    await machine.until(
      `udevadm settle && ! systemctl list-jobs --no-legend | grep -q 'nixmaker-medium@' && test -z "$(systemctl list-units --no-legend --state=activating 'nixmaker-medium@*')"`,
      long,
    );
    // The second is refused after media were looked at, which was after all were mounted.
    const inbox = '/var/lib/nixmaker/inbox';
    for (const n of [1, 2]) {
      await machine.sh(`head -c 2048 /dev/urandom >${inbox}/.x; mv ${inbox}/.x ${inbox}/noise-${n}.tar`);
      await machine.until(`test -e ${inbox}/refused/noise-${n}.tar.txt`, long);
    }
    const log = await machine.sh(
      "journalctl --no-pager --boot --unit nixmaker --unit nixmaker-receipts --unit 'nixmaker-medium@*' --output=cat",
    );
    for (const [i, { name, named }] of hostileExfat.entries()) {
      const lines = log.split('\n').filter((line) => new RegExp(`sda${i + 1}\\b`).test(line));
      const bad = lines.filter((line) =>
        /cannot mount|"event":"(?:medium-unreadable|medium-silent|passed-over|receipts-wait)"/.test(line),
      );
      const words = bad.map((line) => line.replace(/"(?:time|pid)":[^,]+,/g, ''));
      assert.deepEqual(words, [...new Set(words)], name);
      if (named === 'must') assert.notEqual(bad.length, 0, `${name}: ${lines.join('\n')}`);
    }
    assert.equal(await agent(), before);
    assert.doesNotMatch(await consoleText(), /Kernel panic|BUG:|Oops/);
    await machine.pull(stick);
    await gone();
  });

test('the power is cut while a stick is read, and the drive forgets what it was not told to keep', async () => {
  await machine.plug({ image: 'cut.img', speed: 400_000 });
  await machine.until('ls -d /nix/store/*-data-cut-* >/dev/null 2>&1', long);
  await machine.cutPower();
  machine = await Qemu.boot(folder);
  await machine.until(
    'journalctl --no-pager --boot --unit nixmaker --output=cat | grep -q agent-ready',
    long,
  );
  await machine.sh(`grep -qE '^(exfat|newer|cut) ' /run/current-system/etc/motd`);
  const damaged = await machine.try('nix-store --verify --check-contents 2>&1', long);
  assert.doesNotMatch(damaged.output, /was modified|disappeared/);
  await machine.plug({ image: 'cut.img' });
  await runs('cut');
  await mayGo(1);
  const verified = await machine.try('nix-store --verify --check-contents 2>&1', long);
  assert.doesNotMatch(verified.output, /modified|disappeared|error:/);
  const { output } = await machine.try('systemctl --failed --no-legend');
  assert.equal(output.trim(), '');
});

test('the figures are kept', async () => {
  const out = new URL('../out/', import.meta.url).pathname;
  await mkdir(out, { recursive: true });
  await rm(join(out, 'usb.json'), { force: true });
  await writeFile(join(out, 'usb.json'), `${JSON.stringify({ schema: 1, figures }, null, 2)}\n`);
  assert.ok((await readdir(out)).includes('usb.json'));
});
