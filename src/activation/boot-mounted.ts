/**
 * Whether what the boot loader reads is mounted. Threat: a boot partition that was not mounted at this boot (a failing disk, `nofail`,
 * somebody who unmounted it). The boot builder then writes into the folder below the mount point and succeeds, and the firmware goes on
 * starting what it started before: the update is reported as installed, and is gone at the next boot.
 */
import { NixmakerError } from '../core/errors.ts';
import { readIfThere } from '../files/read.ts';

/** fstab(5) and proc_pid_mountinfo(5) write their field separators as octal numbers. */
const unescaped = (field: string): string =>
  field.replace(/\\([0-7]{3})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 8)));

/** Mount points that fstab(5) wants mounted at each boot. */
export const wantedMounts = (fstab: string): string[] =>
  fstab.split('\n').flatMap((line) => {
    const [device = '#', target = '', , options = ''] = line.trim().split(/\s+/);
    const isWanted =
      !device.startsWith('#') && target.startsWith('/') && !options.split(',').includes('noauto');
    return isWanted ? [unescaped(target).replace(/(?<=.)\/+$/, '')] : [];
  });

export const mountPoints = (mountinfo: string): string[] =>
  mountinfo.split('\n').flatMap((line) => {
    const target = line.split(' ')[4];
    return target === undefined ? [] : [unescaped(target)];
  });

/** Where else firmware looks: below the folder with the kernels, or beside it (systemd’s file-hierarchy(7)). */
const isOfBooting = (target: string, bootDirectory: string): boolean =>
  target === bootDirectory || target.startsWith(`${bootDirectory}/`) || target === '/efi';

/** @returns what should be mounted for the boot loader, but is not */
export async function unmountedBoot(
  bootDirectory: string,
  { fstab, mountinfo } = { fstab: '/etc/fstab', mountinfo: '/proc/self/mountinfo' },
): Promise<string[]> {
  const wanted = wantedMounts((await readIfThere(fstab)) ?? '');
  const relevant = wanted.filter((target) => isOfBooting(target, bootDirectory));
  if (relevant.length === 0) return [];
  const mounted = new Set(mountPoints((await readIfThere(mountinfo)) ?? ''));
  return relevant.filter((target) => !mounted.has(target));
}

/** @throws NixmakerError `boot-not-mounted` */
export async function requireBootMounted(bootDirectory: string): Promise<void> {
  const missing = await unmountedBoot(bootDirectory);
  if (missing.length > 0)
    throw new NixmakerError(
      'boot-not-mounted',
      `${missing.join(' and ')} ${missing.length === 1 ? 'is' : 'are'} listed in /etc/fstab but not mounted`,
    );
}
