/**
 * A store path that is larger, packed, than any file on FAT32 can be: put onto a real FAT32 in parts, read back, taken from
 * there by the agent. Moves some 20 GB, so it is run with NIXMAKER_CASES=all only.
 */
import assert from 'node:assert/strict';
import { link, rm, truncate } from 'node:fs/promises';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { nixSystem, run } from '../machines/program.ts';
import { copyDisk, Vm } from '../machines/vm.ts';
import { makeDisk } from '../machines/vm-target.ts';
import { allCases } from '../support/cases.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

if (allCases) {
  const shop = await makeWorkshop();
  after(() => Vm.cutAll());
  const bytes = 4 * 2 ** 30 + 50_000_000;
  const long = 1_200_000;

  test('a NAR of more than 4 GiB goes over FAT32 in parts, and arrives whole', async (t) => {
    const old = await shop.bundle('old', {
      hosts: { web: plainHost('web', 'old') },
      args: ['--sequence', '1'],
    });
    const data = `derivation { name = "data"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "head -c ${bytes} /dev/urandom >$out" ]; }`;
    const bundle = await shop.bundle('large', {
      hosts: { web: plainHost('web', `large \${${data}}`) },
      args: ['--sequence', '10'],
    });
    const disk = await makeDisk(shop, 'golden', { kind: 'media', bundle: old });
    const folder = join(shop.folder, 'machine');
    await copyDisk(disk, folder);
    await truncate(join(folder, 'disk'), 12 * 2 ** 30);
    for (const command of [
      ['e2fsck', '-fy', join(folder, 'disk')],
      ['resize2fs', join(folder, 'disk')],
      ['truncate', '--size', '6G', join(folder, 'second')],
    ] as const) {
      const ran = await run(command[0], command.slice(1));
      assert.ok(ran.code === 0 || ran.code === 1, ran.stdout + ran.stderr);
    }
    await link(bundle, join(folder, 'bundle.tar'));
    const vm = await Vm.boot(folder);
    const clock = async (what: string, script: string) => {
      const started = performance.now();
      const output = await vm.sh(script, long);
      t.diagnostic(`${what}: ${Math.round((performance.now() - started) / 1000)} s`);
      return output;
    };
    await vm.sh('modprobe vfat; mkfs.vfat -F 32 -n LARGE /dev/ubdb >/dev/null; mount -t vfat /dev/ubdb /mnt');
    await clock('put', 'nixmaker put /mnt /host/bundle.tar');
    const parts = (await vm.sh('ls -l /mnt/nixmaker/cache/nar/* | grep -E "\\.[0-9]{3}$"'))
      .trim()
      .split('\n');
    assert.equal(parts.length, 2, parts.join('\n'));
    for (const part of parts) assert.ok(Number(part.split(/ +/)[4]) < 2 ** 32, part);
    await vm.sh('umount /mnt; mkdir -p /run/media/others/stick');
    const settings = JSON.stringify({ media: { roots: ['/run/media/others'] } });
    await vm.write('/etc/nixmaker/settings.json', settings);
    await vm.sh('systemctl restart nixmaker.service; mount -t vfat -o ro /dev/ubdb /run/media/others/stick');
    const started = performance.now();
    await vm.until(`grep -q '^large' /run/current-system/etc/motd`, long);
    t.diagnostic(`taken: ${Math.round((performance.now() - started) / 1000)} s`);
    const size = await vm.sh('stat --format=%s /nix/store/*-data');
    assert.equal(Number(size), bytes);
    const verified = await vm.try('nix-store --verify --check-contents 2>&1', long);
    assert.doesNotMatch(verified.output, /modified|disappeared|error:/);
    await vm.cutPower();
    await rm(folder, { recursive: true, force: true });
  });
}
