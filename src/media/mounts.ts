/** Which media are mounted, according to findmnt(8), and which of them the policy lets bundles be taken from. */
import { readFile, readlink, stat } from 'node:fs/promises';
import { basename } from 'node:path';
import type { SourcesPolicy } from '../core/policy/policy.ts';
import type { ProcessRunner } from '../core/ports.ts';
import * as z from '../core/zod.ts';

export interface Mount {
  /** Where it is. */
  readonly target: string;
  /** What it is: usually a device. */
  readonly source: string;
  readonly fileSystem: string;
  /** Major and minor number of the device, `8:1`; major 0 if there is none (tmpfs, NFS, FUSE). */
  readonly device: string;
  readonly readOnly: boolean;
  readonly options: readonly string[];
  /** The file system’s; empty if it has none, or udev was not told. */
  readonly label: string;
  readonly uuid: string;
}

const table = z.looseObject({
  filesystems: z.array(
    z.looseObject({
      target: z.string(),
      source: z.nullish(z.string()),
      fstype: z.nullish(z.string()),
      'maj:min': z.nullish(z.string()),
      options: z.nullish(z.string()),
      label: z.nullish(z.string()),
      uuid: z.nullish(z.string()),
    }),
  ),
});

/** All mounts of this process’s namespace, the topmost last; none if findmnt can’t tell. */
export async function listMounts(run: ProcessRunner): Promise<Mount[]> {
  const columns = ['--output', 'TARGET,SOURCE,FSTYPE,MAJ:MIN,OPTIONS,LABEL,UUID'];
  const result = await run('findmnt', ['--json', '--list', ...columns], { timeout: 10_000 });
  if (result.exitCode !== 0) return [];
  return table.parse(JSON.parse(result.stdout)).filesystems.map(toMount);
}

/** Only the mount points. */
export const listMounted = async (run: ProcessRunner): Promise<string[]> =>
  (await listMounts(run)).map(({ target }) => target);

/** Whether it is on something a user has mounted (FUSE). From the kernel’s own table, which always answers (proc_pid_mountinfo(5)). */
export async function isOnMountOfOthers(path: string): Promise<boolean> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  const mounts = table.split('\n').flatMap((line) => {
    const [target, type] = [line.split(' ')[4], / - (\S+) /.exec(line)?.[1]];
    return target === undefined || type === undefined ? [] : [{ target: unescaped(target), type }];
  });
  // The topmost is the last of the longest.
  const above = mounts.filter(({ target }) => `${path}/`.startsWith(target === '/' ? '/' : `${target}/`));
  const longest = Math.max(...above.map(({ target }) => target.length));
  return above.findLast(({ target }) => target.length === longest)?.type.startsWith('fuse') === true;
}

/** Space, tab, newline and backslash as octal digits. */
const unescaped = (text: string): string =>
  text.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** Where fstab(5) says that something is to be mounted, at boot or by hand; swap has no mount point. */
export async function listMountPoints(run: ProcessRunner): Promise<string[]> {
  const result = await run('findmnt', ['--fstab', '--json', '--list', '--output', 'TARGET'], {
    timeout: 10_000,
  });
  if (result.exitCode !== 0) return [];
  const { filesystems } = table.parse(JSON.parse(result.stdout));
  return filesystems.map(({ target }) => target).filter((target) => target.startsWith('/'));
}

function toMount(row: z.infer<typeof table>['filesystems'][number]): Mount {
  const options = (row.options ?? '').split(',');
  return {
    target: row.target,
    source: row.source ?? '',
    fileSystem: row.fstype ?? '',
    device: row['maj:min']?.trim() ?? '',
    readOnly: options.includes('ro'),
    options,
    label: row.label ?? '',
    uuid: row.uuid ?? '',
  };
}

const blockDevices = '/sys/dev/block';

/** A plain mount stays in the table when its device is pulled out; sysfs(5) shows that the device is gone. */
export async function isThere({ device }: Pick<Mount, 'device'>): Promise<boolean> {
  if (device === '' || device.startsWith('0:') || !(await exists(blockDevices))) return true;
  return exists(`${blockDevices}/${device}`);
}

/**
 * Whether the kernel panics if this file system is damaged. An ext4 superblock can ask for that, and is obeyed unless the mount options say
 * otherwise; mount tables leave out what the superblock says, `/proc/fs/ext4/DEVICE/options` does not.
 */
export async function panicsOnError({
  device,
  fileSystem,
  options,
}: Pick<Mount, 'device' | 'fileSystem' | 'options'>): Promise<boolean> {
  if (options.includes('errors=panic')) return true;
  if (!/^ext[234]$/.test(fileSystem)) return false;
  // Without sysfs, or while a device is disappearing, nobody knows.
  const name = basename(await readlink(`${blockDevices}/${device}`).catch(() => ''));
  const all = await readFile(`/proc/fs/ext4/${name}/options`, 'utf8').catch(() => '');
  return all.split('\n').includes('errors=panic');
}

async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** Whether the policy lets bundles be taken from it. */
export function isAllowedSource(mount: Mount, sources: SourcesPolicy): boolean {
  const allows = (list: readonly string[], value: string) => list.length === 0 || list.includes(value);
  return (
    sources.media &&
    allows(sources.labels, mount.label) &&
    allows(sources.uuids, mount.uuid) &&
    allows(sources.fileSystems, mount.fileSystem) &&
    (sources.roots.length === 0 || mediaAmong([mount], sources.roots).length > 0)
  );
}

/** Those at or below one of the roots, each place once, with the topmost mount. */
export function mediaAmong(mounts: readonly Mount[], roots: readonly string[]): Mount[] {
  const below = (target: string) => roots.some((root) => target === root || target.startsWith(`${root}/`));
  const byTarget = new Map(mounts.filter((m) => below(m.target)).map((m) => [m.target, m]));
  return [...byTarget.values()];
}
