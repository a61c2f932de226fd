/**
 * Whether a device belongs to this machine rather than to whoever plugged it in. A machine that boots from a USB disk or an SD card sees
 * its own disk appear like any medium. Threat: if it is made read-only, as a medium is, the running system breaks.
 */
import { readFile, readlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { ifMissing, insteadOf } from '../core/errno.ts';
import { namesIn } from '../files/read.ts';
import type { Mount } from './mounts.ts';

export interface Kernel {
  /** sysfs(5), and what proc(5) says about swap. */
  readonly sys: string;
  readonly swaps: string;
}

const thisKernel: Kernel = { sys: '/sys', swaps: '/proc/swaps' };

/**
 * Why the device is this machine’s own; undefined if it is not, as far as is known.
 * @param name of the device below /dev
 * @param ours folders below which nixmaker or others mount media
 */
export async function whyInUse(
  name: string,
  { mounts, ours }: { readonly mounts: readonly Mount[]; readonly ours: readonly string[] },
  { sys, swaps }: Kernel = thisKernel,
): Promise<string | undefined> {
  const parts = await partsOfDisk(sys, name);
  const isOurs = (target: string) => ours.some((folder) => target.startsWith(`${folder}/`));
  const numbers = new Set(await Promise.all(parts.map((part) => numberOf(sys, part))));
  const sources = new Set(parts.map((part) => `/dev/${part}`));
  // For btrfs the number is the file system’s own, and the source is the device.
  const mount = mounts.find(
    (m) => !isOurs(m.target) && (numbers.has(m.device) || sources.has(m.source.replace(/\[.*$/, ''))),
  );
  if (mount !== undefined) return `this machine has ${mount.target} on the same disk`;
  for (const part of parts)
    if ((await namesIn(join(sys, 'class/block', part, 'holders'), 'ENOTDIR')).length > 0)
      return `${part} is part of another device of this machine`;
  const text = await readFile(swaps, 'utf8').catch(ifMissing(''));
  const swap = text.split('\n').find((line) => sources.has(line.split(/\s/)[0] ?? ''));
  return swap === undefined ? undefined : 'this machine swaps to the same disk';
}

/** The disk that the device is or is on, and everything on it. */
async function partsOfDisk(sys: string, name: string): Promise<string[]> {
  const link = await readlink(join(sys, 'class/block', name)).catch(insteadOf(['ENOENT', 'EINVAL'], name));
  const above = basename(dirname(link));
  const isPart = (await numberOf(sys, above)) !== undefined;
  const disk = isPart ? above : name;
  const below = await namesIn(join(sys, 'class/block', disk), 'ENOTDIR');
  const parts = below.filter((part) => part !== disk && part.startsWith(disk));
  return [disk, ...parts, ...(parts.includes(name) || name === disk ? [] : [name])];
}

/** Major and minor, as in mount tables. */
const numberOf = async (sys: string, name: string): Promise<string | undefined> =>
  (
    await readFile(join(sys, 'class/block', name, 'dev'), 'utf8').catch(
      insteadOf(['ENOENT', 'ENOTDIR'], undefined),
    )
  )?.trim();
