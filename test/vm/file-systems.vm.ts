/**
 * The same power cuts with /nix on other file systems than ext4: what each keeps of files that nobody flushed differs, and nixmaker must
 * not rely on any of it. A sample has the cut that does the most harm; NIXMAKER_CASES=all has every cut on each.
 */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { run } from '../machines/program.ts';
import { copyDisk, Vm } from '../machines/vm.ts';
import { makeDisk } from '../machines/vm-target.ts';
import { allCases } from '../support/cases.ts';
import { cuts } from '../support/cuts.ts';
import { keepTable } from '../support/out.ts';
import { bundles, cutBeforeFlush, imagesOf, shop, startAfterCut } from './power-cut/scene.ts';

const fileSystems = ['btrfs', 'xfs', 'f2fs'] as const;
type FileSystem = (typeof fileSystems)[number];

const [toSwitch, toBoot] = await Promise.all([
  makeDisk(shop, 'golden-switch', { kind: 'media', bundle: bundles.old }),
  allCases
    ? makeDisk(shop, 'golden-boot', { kind: 'media', bundle: bundles.old, policy: { operation: 'boot' } })
    : 'none',
]);
const onExt4 = { switch: toSwitch, boot: toBoot };
const outcomes: Record<string, unknown>[] = [];

async function must(program: string, ...args: string[]): Promise<void> {
  const ran = await run(program, args);
  assert.equal(ran.code, 0, `${program}: ${ran.stderr}`);
}

/** As the initrd of a NixOS does: without it nothing is started. */
const mountFirst =
  'mount -t devtmpfs none /dev 2>/dev/null || true; mount -t proc none /proc; mount /nix || exit 1';

/** A machine like the one given, whose /nix is a file system of its own, on its second disk. */
async function moveStore(disk: string, fileSystem: FileSystem, operation: string): Promise<string> {
  const folder = join(shop.folder, `${fileSystem}-${operation}`);
  await copyDisk(disk, folder);
  const second = join(folder, 'second');
  await must('truncate', '--size', '1G', second);
  await must(
    join(process.env.NIXMAKER_MKFS ?? '', `mkfs.${fileSystem}`),
    fileSystem === 'btrfs' ? '-q' : '-f',
    second,
  );
  const vm = await Vm.boot(folder);
  try {
    await vm.sh(
      `systemctl stop nixmaker.service nixmaker-activate.path nix-daemon.socket nix-daemon.service
      mount -t ${fileSystem} /dev/ubdb /mnt; cp -a /nix/. /mnt/; umount /mnt
      echo "/dev/ubdb /nix ${fileSystem} defaults 0 0" >>/etc/fstab
      sed -i '2i ${mountFirst}' /usr/lib/loader`,
    );
  } finally {
    await vm.powerOff();
  }
  return join(folder, 'disk');
}

const machines = await Promise.all(
  fileSystems.map(async (fileSystem) => {
    const disks = {
      switch: await moveStore(onExt4.switch, fileSystem, 'switch'),
      boot: allCases ? await moveStore(onExt4.boot, fileSystem, 'boot') : 'none',
    };
    const mine = allCases ? cuts : [];
    return { fileSystem, disks, mine, images: await imagesOf(disks, mine) };
  }),
);

describe('/nix on another file system', { concurrency: 3 }, () => {
  for (const { fileSystem, disks, mine, images } of machines) {
    test(`${fileSystem}: power cut when all paths are valid and none is flushed`, async () => {
      outcomes.push({ fileSystem, ...(await cutBeforeFlush(disks.switch, 'is gone')) });
    });
    for (const cut of mine) {
      const { who, when, state, bundle, operation } = cut;
      test(`${fileSystem}: ${operation}, ${bundle} system, power cut at ${who} ${when} ${state}`, async () => {
        const image = images.get(cut);
        assert.ok(image !== undefined);
        outcomes.push({ fileSystem, ...(await startAfterCut(image, cut)) });
      });
    }
  }
});

test('the outcomes are kept as a table', () => keepTable('power-cuts-file-systems', { cases: outcomes }));
