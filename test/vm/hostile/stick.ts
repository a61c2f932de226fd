/** One hostile file system of the matrix (hostile-media.vm.ts). */

/**
 * What is to be said of it, in words of the journal: that it can’t be mounted, that (part of) it can’t be read, that it has
 * stopped to answer, that a file on it is no good. `nothing`: odd, but none of our business.
 */
export type Said =
  | 'not-mounted'
  | 'medium-unreadable'
  | 'medium-silent'
  | 'passed-over'
  | 'receipts-wait'
  | 'nothing';

export interface HostileStick {
  /** For a person who reads the table. */
  readonly name: string;
  readonly fileSystem: 'ext4' | 'vfat' | 'iso9660' | 'exfat';
  readonly said: Said | readonly Said[];
  /** Whether root writes there: there is a pool, so a receipt is due. */
  readonly isWritten?: true;
  readonly make: (image: string) => Promise<void>;
}
