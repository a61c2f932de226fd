/** A machine whose disk holds two systems and whose boot partition two kernels, and releases that fill them. */
import { copyFile, mkdir, readlink, statfs, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
import { listGenerations } from '../../src/nix/profile.ts';
import { nixSystem, run } from '../machines/program.ts';
import type { Workshop } from './fleet.ts';
import { mountSmall } from './own-mounts.ts';
import { systemWith } from './system-with.ts';

const mebi = 1024 * 1024;

/** Bytes of a system’s own files, and of its kernel. */
export const payload = 24 * mebi;
export const kernel = 3 * mebi;

/** Text that takes a disk’s blocks and none of a bundle’s. */
const filled = (name: string, file: string, bytes: number) =>
  `derivation { name = "${name}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin"; args = [ "-c" "mkdir $out; yes ${name} | head -c ${bytes} >$out/${file}" ]; }`;

/** A release with a kernel and a payload of its own. */
export const largeRelease = (shop: Workshop, n: number, { sameKernel = false } = {}): Promise<string> => {
  const image = filled(sameKernel ? 'linux-6.0' : `linux-6.${n}`, 'bzImage', kernel);
  const add = `ln -sfn \${${image}}/bzImage $out/kernel; ln -s \${${filled(`data-${n}`, 'data', payload)}} $out/payload`;
  return shop.bundle(`large-${n}${sameKernel ? '-same' : ''}`, {
    hosts: { web: systemWith(`r${n}`, add) },
    args: ['--sequence', String(n * 10)],
  });
};

export interface SmallMachine {
  readonly target: Target;
  /** Puts it into the inbox. */
  readonly bring: (bundle: string) => Promise<void>;
  readonly look: () => Promise<Look>;
  readonly close: () => Promise<void>;
}

export interface Look {
  readonly generations: readonly number[];
  /** Bytes. */
  readonly diskUsed: number;
  readonly bootUsed: number;
}

/** Bytes. What Nix keeps for itself is within: its reserve, its database and the log of it. */
export interface Sizes {
  readonly disk: number;
  readonly boot: number;
}

export const forTwo: Sizes = { disk: 2 * (payload + kernel) + 24 * mebi, boot: 2 * kernel + 2 * mebi };

export async function makeSmallMachine(
  shop: Workshop,
  name: string,
  policy: Readonly<Record<string, unknown>>,
  { disk, boot }: Sizes = forTwo,
): Promise<SmallMachine> {
  const root = join(shop.folder, name);
  await mountSmall(join(root, 'nix'), disk);
  await mountSmall(join(root, 'boot'), boot);
  const target = await makeTarget(root, {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
    policy: { operation: 'boot', limits: { freeBytes: mebi }, ...policy },
  });
  // As NixOS has them (nixos/modules/system/activation/activation-script.nix).
  const roots = join(root, 'nix/var/nix/gcroots');
  await mkdir(roots, { recursive: true });
  for (const link of ['current-system', 'booted-system']) await symlink(`/run/${link}`, join(roots, link));
  const used = async (folder: string) => {
    const { blocks, bfree, bsize } = await statfs(folder);
    return (blocks - bfree) * bsize;
  };
  return {
    target,
    close: async () => {
      await target.close();
      for (const folder of ['nix', 'boot']) await run('umount', ['--lazy', join(root, folder)]);
    },
    bring: (bundle) => copyFile(bundle, join(target.inbox, 'web.tar')),
    look: async () => ({
      generations: [...(await listGenerations(join(root, 'nix/var/nix/profiles/system'))).keys()].sort(
        (a, b) => a - b,
      ),
      diskUsed: await used(join(root, 'nix')),
      bootUsed: await used(join(root, 'boot')),
    }),
  };
}

export const linkIn = (target: Target, path: string) => readlink(join(target.root, path));
