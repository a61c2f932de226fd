/** One hostile file system of the matrix (hostile-media.vm.ts). */

/**
 * Whether something must be said of it: that it can’t be mounted, that (part of) it can’t be read, that a receipt could not be written.
 * `either`: whether it can be used, and how soon it answers, is for the kernel to say. Whatever is said, is said once.
 */
export type Named = 'must' | 'either';

export interface HostileStick {
  /** For a person who reads the table. */
  readonly name: string;
  readonly fileSystem: 'ext4' | 'vfat' | 'exfat' | 'iso9660';
  readonly named: Named;
  /** There is a pool: where it can be mounted a receipt is due, and it is told that it may go. */
  readonly hasPool?: true;
  /** Part of the whole matrix only (NIXMAKER_CASES=all). */
  readonly isRare?: true;
  readonly make: (image: string) => Promise<void>;
}
