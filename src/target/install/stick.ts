/**
 * Media, on a live system: found, mounted as harmlessly as on any machine (ADR 11), and unmounted. There is no policy here that udev’s
 * units could ask, and nobody else mounts anything.
 */
import { rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import { poolFolder } from '../../core/bundle/pool-folder.ts';
import type { ProcessRunner } from '../../core/ports.ts';
import { isFolder } from '../../files/read.ts';
import { listPlugged, type Plugged } from '../../media/hot-plugged.ts';
import { mountMedium, whileWritable } from '../../media/mount.ts';
import { listMounts, mediaAmong } from '../../media/mounts.ts';
import type { Reach } from './record.ts';

export interface Stick {
  /** For people. */
  readonly name: string;
  /** Where it can be read. */
  readonly place: string;
  /** How it is written to; undefined for a folder. */
  readonly reach: Reach | undefined;
  /** Undefined for a folder, which stays. */
  readonly device: string | undefined;
  close(): Promise<void>;
}

export interface Where {
  /** Folders that are searched besides: of the live medium itself, for example. */
  readonly folders: readonly string[];
  /** Only media with one of these labels; any if there are none. */
  readonly labels: readonly string[];
  /** Below which media are mounted. */
  readonly directory: string;
}

/** What nixmaker mounts anywhere (core/policy/policy.ts). */
const fileSystems = ['vfat', 'exfat', 'ext4', 'iso9660'];

/** What could be opened now, by names that stay the same as long as it is there. */
export async function listSticks(
  run: ProcessRunner,
  { folders, labels }: Where,
): Promise<(string | Plugged)[]> {
  const there: string[] = [];
  for (const folder of folders) if (await isFolder(join(folder, poolFolder))) there.push(folder);
  const plugged = (await listPlugged(run)).filter(
    ({ fileSystem, label }) =>
      fileSystems.includes(fileSystem) && (labels.length === 0 || labels.includes(label)),
  );
  return [...there, ...plugged];
}

export const stickName = (found: string | Plugged): string =>
  typeof found === 'string' ? found : found.name;

/** Unmounts what a process has left that was killed. */
export async function closeForgotten(run: ProcessRunner, { directory }: Where): Promise<void> {
  for (const { target } of mediaAmong(await listMounts(run), [directory]))
    await run('umount', [target], { timeout: 120_000 });
}

/** @returns undefined if it has no pool @throws NixmakerError `io-error` if it can’t be mounted */
export async function openStick(
  run: ProcessRunner,
  found: string | Plugged,
  { directory }: Where,
): Promise<Stick | undefined> {
  if (typeof found === 'string')
    return { name: found, place: found, reach: undefined, device: undefined, close: async () => undefined };
  const { name, fileSystem, label } = found;
  const device = `/dev/${name}`;
  const place = await mountMedium(run, { device, name, fileSystem, directory });
  const writable = join(directory, `${name}.write`);
  const stick = {
    name: label === '' ? name : `${name} (${label})`,
    ...{ place, device },
    // The kernel mounts a device either read-only or not. Nothing on it is open by then.
    reach: async (write: (root: string) => Promise<void>) => {
      await run('umount', [place], { timeout: 120_000 });
      await whileWritable(run, { device, fileSystem, target: writable }, () => write(writable));
    },
    close: async () => {
      await run('umount', [place], { timeout: 120_000 });
      await run('blockdev', ['--setrw', device], { timeout: 30_000 });
      for (const folder of [place, writable]) await rmdir(folder).catch(() => undefined);
    },
  };
  if (await isFolder(join(place, poolFolder))) return stick;
  await stick.close();
  return undefined;
}
