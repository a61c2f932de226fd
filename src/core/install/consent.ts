/** What a live system needs from the person in front of it before it installs. Pure. */

/** What a disk script would do. */
export interface Overwrites {
  /** Below /dev. */
  readonly disks: readonly string[];
  /** Whether there is nothing on any of them: no file system, no partition. */
  readonly empty: boolean;
  /** Whether a person, or a signed table, has named them for this machine. */
  readonly named: boolean;
}

/** Nothing; one key; or the names of the disks, typed. */
export type Consent = 'none' | 'key' | 'names';

/**
 * Threat: a machine that was installed unattended is started from the live medium once more, because it was left in. What is on a disk is
 * never overwritten without a person.
 * @param plan `unattended`: a signed table has this machine, and says so
 */
export function consentFor({
  unattended,
  overwrites,
}: {
  readonly unattended: boolean;
  readonly overwrites?: Overwrites | undefined;
}): Consent {
  if (overwrites === undefined) return unattended ? 'none' : 'key';
  if (!overwrites.named) return 'names';
  return unattended && overwrites.empty ? 'none' : 'key';
}
