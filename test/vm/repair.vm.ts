/**
 * The power is cut while a damaged store path is exchanged for a whole one, with nothing written back that nobody asked for: the path is the
 * old or the new one, whole in itself, and once the repair says that it is done, it is the new one. NIXMAKER_CASES=all has it on btrfs and
 * xfs too.
 */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import type { Vm } from '../machines/vm.ts';
import { bootCopy, makeDisk } from '../machines/vm-target.ts';
import { allCases } from '../support/cases.ts';
import { keepTable } from '../support/out.ts';
import { released } from '../support/released.ts';
import { moveStore } from './power-cut/other-store.ts';
import { bundles, countDamage, inMachine, lazy, shop } from './power-cut/scene.ts';

const golden = await makeDisk(shop, 'golden-repair', { kind: 'media', bundle: bundles.old });
const { paths } = await released(bundles.old);
const base = paths.find(({ path }) => path.includes('-sample-base-'));
assert.ok(base !== undefined);
const whole = base.narHash.slice('sha256:'.length);
const hash = async (vm: Vm) => (await vm.sh(`nix-hash --type sha256 --base32 ${base.path}`)).trim();

/** The real mv, but for standing still before and behind an exchange. */
const shim = `#!/bin/sh
case "$*" in *--exchange*) ;; *) exec /usr/bin/mv.real "$@" ;; esac
wait_for() { touch /run/hold/$1; while [ -e /run/hold/$1 ]; do sleep 0.05; done; }
wait_for before
/usr/bin/mv.real "$@"; code=$?
wait_for behind
exit $code
`;

/** Leads a machine through a repair, and copies its disk at each step as a cut would leave it. */
async function imagesOf(disk: string, name: string) {
  const folder = join(shop.folder, `repair-${name}`);
  const vm = await bootCopy(disk, folder);
  try {
    await vm.write('/root/web.tar', await readFile(bundles.old));
    await vm.sh(
      `cp /usr/bin/mv /usr/bin/mv.real; printf X | dd of=${base?.path}/share/manual bs=1 seek=100 conv=notrunc status=none; sync; ${lazy}`,
    );
    const damaged = await hash(vm);
    assert.notEqual(damaged, whole);
    await vm.write('/run/mv', shim, '0755');
    await vm.sh(
      'mount --bind /run/mv /usr/bin/mv; systemd-run --quiet --unit repair nixmaker repair /root/web.tar',
    );
    const images: Record<string, string> = {};
    for (const step of ['before', 'behind']) {
      await vm.until(`test -e /run/hold/${step}`, 600_000);
      images[step] = join(shop.folder, `repair-${name}-${step}`);
      await vm.copyAsIfCut(images[step]);
      await vm.sh(`rm /run/hold/${step}`);
    }
    await vm.until('! systemctl is-active --quiet repair.service', 600_000);
    images.done = join(shop.folder, `repair-${name}-done`);
    await vm.copyAsIfCut(images.done);
    return { images, damaged };
  } finally {
    await vm.cutPower();
  }
}

const rows: Record<string, unknown>[] = [];

for (const fileSystem of allCases ? (['ext4', 'btrfs', 'xfs'] as const) : (['ext4'] as const))
  describe(`/nix on ${fileSystem}`, () => {
    test('the power is cut before, behind and after the exchange', async () => {
      const disk = fileSystem === 'ext4' ? golden : await moveStore(golden, fileSystem, 'repair');
      const { images, damaged } = await imagesOf(disk, fileSystem);
      for (const [step, image] of Object.entries(images))
        await inMachine(image, async (boot) => {
          const vm = await boot();
          const found = await hash(vm);
          assert.ok(found === damaged || found === whole, 'neither the old nor the new');
          if (step === 'done') assert.equal(found, whole);
          else await vm.sh('nixmaker repair /root/web.tar');
          assert.equal(await hash(vm), whole);
          // A cut may bring back the row of what was exchanged and deleted: garbage, and damaged.
          await vm.sh('nix-collect-garbage 2>/dev/null');
          assert.equal((await countDamage(vm)).damaged, 0);
          rows.push({ fileSystem, cut: step, found: found === whole ? 'new' : 'old' });
        });
      await keepTable('repair-cuts', { cases: rows });
    });
  });
