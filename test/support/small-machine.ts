/** A machine whose disk holds two systems and whose boot partition two kernels, and releases that fill them. */
import { copyFile, mkdir, statfs, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { insteadOf } from '../../src/core/errno.ts';
import { listGenerations } from '../../src/nix/profile.ts';
import { nixSystem, run } from '../machines/program.ts';
import { makeTarget, type Target } from '../machines/sandboxed-target.ts';
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

export interface Releasing {
  /**
   * Whose releases. Nix takes what any process of the kernel has open, or names in its environment, for a root, whichever store it is of (Nix
   * src/libstore/unix/gc.cc, findRuntimeRoots): machines that run at the same time need paths of their own.
   */
  readonly line?: string;
  readonly switchPrelude?: string;
}

/** A release with a kernel and a payload of its own. */
export const largeRelease = (
  shop: Workshop,
  n: number,
  { line = 'row', switchPrelude }: Releasing = {},
): Promise<string> => {
  const image = filled(`linux-${line}-6.${n}`, 'bzImage', kernel);
  const data = filled(`data-${line}-${n}`, 'data', payload);
  const add = `ln -sfn \${${image}}/bzImage $out/kernel; ln -s \${${data}} $out/payload`;
  return shop.bundle(`large-${line}-${n}${switchPrelude === undefined ? '' : '-prelude'}`, {
    hosts: { web: systemWith(`${line}${n}`, add) },
    args: ['--sequence', String(n * 10)],
    ...(switchPrelude === undefined ? {} : { switchPrelude }),
  });
};

export interface SmallMachine {
  readonly target: Target;
  /** Puts it into the inbox. */
  readonly bring: (bundle: string) => Promise<void>;
  readonly look: () => Promise<Look>;
  readonly close: () => Promise<void>;
  /** Closes it, and keeps a copy. */
  readonly keep: (folder: string) => Promise<void>;
}

async function copy(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  const ran = await run('cp', ['--archive', `${from}/.`, to]);
  if (ran.code !== 0) throw new Error(ran.stderr);
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

export interface Making {
  readonly policy?: Readonly<Record<string, unknown>>;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly sizes?: Sizes;
  /** A machine that was kept. */
  readonly copyOf?: string;
}

export async function makeSmallMachine(
  shop: Workshop,
  name: string,
  { policy, settings, sizes: { disk, boot } = forTwo, copyOf }: Making = {},
): Promise<SmallMachine> {
  const root = join(shop.folder, name);
  await mountSmall(join(root, 'nix'), disk);
  await mountSmall(join(root, 'boot'), boot);
  if (copyOf !== undefined) await copy(copyOf, root);
  const target = await makeTarget(root, {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
    policy: { operation: 'boot', collect: 'when-needed', limits: { freeBytes: mebi }, ...policy },
    ...(settings === undefined ? {} : { settings }),
  });
  // As NixOS has them (nixos/modules/system/activation/activation-script.nix).
  const roots = join(root, 'nix/var/nix/gcroots');
  await mkdir(roots, { recursive: true });
  for (const link of ['current-system', 'booted-system'])
    await symlink(`/run/${link}`, join(roots, link)).catch(insteadOf(['EEXIST'], undefined));
  const used = async (folder: string) => {
    const { blocks, bfree, bsize } = await statfs(folder);
    return (blocks - bfree) * bsize;
  };
  const close = async () => {
    await target.close();
    for (const folder of ['nix', 'boot']) await run('umount', ['--lazy', join(root, folder)]);
  };
  return {
    target,
    close,
    keep: async (folder) => {
      await target.close();
      await copy(root, folder);
      await close();
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
