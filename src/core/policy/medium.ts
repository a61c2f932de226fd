/** Which media nixmaker mounts by itself, and how. Pure. */
import type { MediaPolicy } from './policy.ts';

/** A block device with a file system, as blkid(8) tells. */
export interface MediumDevice {
  readonly fileSystem: string | undefined;
  readonly label: string | undefined;
}

/** Why a medium is left alone; undefined where it is to be mounted. */
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
 * Threat: the medium’s own contents. Nothing on it is run, no device node and no set-uid bit counts, and no link leads
 * out of it (mount(8), nosymfollow). `noload`: an ext4 journal is not replayed, for that would be writing.
 */
export function mountOptions(fileSystem: string): string {
  const safe = ['ro', 'nosuid', 'nodev', 'noexec', 'nosymfollow'];
  return [...safe, ...(fileSystem === 'ext4' ? ['noload'] : [])].join(',');
}
