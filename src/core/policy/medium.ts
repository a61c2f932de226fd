/** Which media nixmaker mounts itself, and how. Pure. */
import type { MediaPolicy } from './policy.ts';

/** A block device with a file system, as blkid(8) reports it. */
export interface MediumDevice {
  readonly fileSystem: string | undefined;
  readonly label: string | undefined;
}

/** Why a medium is left alone; undefined if it should be mounted. */
export function reasonNotToMount(policy: MediaPolicy, device: MediumDevice): string | undefined {
  const { fileSystem, label } = device;
  if (!policy.mount) return 'the policy has no `media.mount`';
  if (fileSystem === undefined) return 'it has no file system';
  if (!policy.fileSystems.some((f) => f === fileSystem)) return `its file system is ${fileSystem}`;
  if (policy.labels.length > 0 && !policy.labels.includes(label ?? ''))
    return label === undefined ? 'it has no label' : `its label is ${label}`;
  return undefined;
}

/**
 * Threat: the medium’s own contents. Nothing on it is run, device nodes and set-uid bits don’t count, and no link leads
 * out of it (mount(8), nosymfollow).
 */
const harmless = ['nosuid', 'nodev', 'noexec', 'nosymfollow'];

/**
 * Threat: what a file system says about itself. An ext4 superblock names what the kernel does on an error (`errors=panic`), and
 * whole mount options; those given here override both (ext4(5), “override the errors behavior”). FAT and exFAT have no
 * such field, and get the option in case a kernel’s default differs; iso9660 has none. `block_validity` and `barrier`
 * are the kernel’s own defaults, which a superblock can turn off (Documentation/admin-guide/ext4.rst, vfat.rst; fs/exfat).
 */
const onError: Readonly<Record<string, readonly string[]>> = {
  ext4: ['errors=remount-ro', 'block_validity', 'barrier=1'],
  vfat: ['errors=remount-ro'],
  exfat: ['errors=remount-ro'],
  iso9660: [],
};

/**
 * What others may read; `noload`: an ext4 journal is not replayed, because that would mean writing, and acting on what a stranger
 * wrote. It is replayed only to write a receipt: without its journal, a stick pulled out midway would be damaged.
 */
const forReading: Readonly<Record<string, readonly string[]>> = {
  ext4: ['noload'],
  vfat: ['umask=0022'],
  exfat: ['umask=0022'],
};

/** For mount(8). */
export function mountOptions(fileSystem: string, access: 'read' | 'write'): string {
  const ours = onError[fileSystem] ?? [];
  return access === 'write'
    ? ['rw', ...harmless, ...ours].join(',')
    : ['ro', ...harmless, ...ours, ...(forReading[fileSystem] ?? [])].join(',');
}
