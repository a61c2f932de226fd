/** The folder at which the new system’s file systems are mounted, judged as nixos-install(8) does, and a little further. */
import { realpath, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { mountPoints } from '../../activation/boot-mounted.ts';
import { ifNowhere } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import { readText } from '../../files/read.ts';

const unusable = (detail: string) => new NixmakerError('root-unusable', detail);

/**
 * @param plainFolder whether it may be a folder like any other: an image is being built
 * @returns its real path
 * @throws NixmakerError `root-unusable`
 */
export async function requireRootFolder(
  path: string,
  { plainFolder }: { readonly plainFolder: boolean },
): Promise<string> {
  const root = await realpath(path).catch(ifNowhere(undefined));
  const own = root === undefined ? undefined : await stat(root);
  if (root === undefined || own?.isDirectory() !== true) throw unusable(`${path} is not a folder`);
  if (root === '/') throw unusable('it is the root of the running system; an update is what it needs');
  // nixos-install: whoever is not root must be able to reach the new system’s files.
  for (let above = root; above !== '/'; above = dirname(above)) {
    const mode = (await stat(above)).mode & 0o777;
    if ((mode & 0o5) !== 0o5)
      throw unusable(`${above} has mode ${mode.toString(8)}; it must be 755 (chmod o+rx ${above})`);
  }
  if (own.uid !== 0 || own.gid !== 0)
    throw unusable(
      `${root} belongs to ${own.uid}:${own.gid}; it must belong to root (chown root:root ${root})`,
    );
  // Threat: the disk was not mounted, or elsewhere, and the live system’s own file system is filled instead.
  if (!plainFolder && !(await mountedNow()).has(root))
    throw unusable(`nothing is mounted at ${root} (--plain-folder allows that)`);
  return root;
}

const mountedNow = async () => new Set(mountPoints(await readText('/proc/self/mountinfo', 'io-error')));

/** Where a disk script is to mount: over nothing that is mounted already. @throws NixmakerError `root-unusable` */
export async function requireNotMounted(root: string): Promise<void> {
  const there = [...(await mountedNow())].filter((m) => m === root || m.startsWith(`${root}/`));
  if (root === '/' || there.length > 0)
    throw unusable(`the disk script is to mount at ${root}, where something is mounted already`);
}

/**
 * What the new system keeps on file systems of their own must be mounted now. Threat: it is installed below a mount point, and the first
 * start hides it.
 * @param wanted mount points of the new system’s fstab
 * @param written what will be written, by the new system’s own paths
 * @throws NixmakerError `root-unusable`
 */
export async function requireMounted(
  root: string,
  wanted: readonly string[],
  written: readonly string[],
): Promise<void> {
  const relevant = wanted.filter(
    (target) => target !== '/' && written.some((path) => `${path}/`.startsWith(`${target}/`)),
  );
  if (relevant.length === 0) return;
  const mounted = await mountedNow();
  const missing = relevant.filter((target) => !mounted.has(join(root, target)));
  if (missing.length > 0)
    throw unusable(
      `the new system mounts ${missing.join(' and ')}, and nothing is mounted at ${missing.map((m) => join(root, m)).join(' and ')}`,
    );
}

/**
 * What will be written must stay below the new root. Threat: a link in the new root, left by an earlier installation, that leads into the
 * live system.
 * @throws NixmakerError `root-unusable`
 */
export async function requireBelow(root: string, paths: readonly string[]): Promise<void> {
  for (const path of paths) {
    const real = await nearest(join(root, path));
    if (real !== root && !real.startsWith(`${root}/`))
      throw unusable(`${join(root, path)} leads out of the new system, to ${real}`);
  }
}

/** The real path of the nearest thing that exists, above or there. */
export async function nearest(path: string): Promise<string> {
  return (await realpath(path).catch(ifNowhere(undefined))) ?? nearest(dirname(path));
}
