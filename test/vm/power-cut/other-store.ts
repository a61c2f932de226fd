/** Machines whose /nix is a file system of its own. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { run } from '../../machines/program.ts';
import { copyDisk, Vm } from '../../machines/vm.ts';
import { shop } from './scene.ts';

export const fileSystems = ['btrfs', 'xfs', 'f2fs'] as const;
export type FileSystem = (typeof fileSystems)[number];

async function must(program: string, ...args: string[]): Promise<void> {
  const ran = await run(program, args);
  assert.equal(ran.code, 0, `${program}: ${ran.stderr}`);
}

/** As the initrd of a NixOS does: without it nothing is started. */
const mountFirst =
  'mount -t devtmpfs none /dev 2>/dev/null || true; mount -t proc none /proc; mount /nix || exit 1';

/** A machine like the one given, whose /nix is a file system of its own, on its second disk. */
export async function moveStore(disk: string, fileSystem: FileSystem, operation: string): Promise<string> {
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
