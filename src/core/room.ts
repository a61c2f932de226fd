/** What an update needs on a disk, and whether it is there. Pure. */
import { sizeText, unlikeSizes } from './size.ts';

export interface Space {
  /** What an unprivileged process may still use. */
  readonly freeBytes: number;
  /** Undefined if the file system does not count them (btrfs). */
  readonly freeInodes: number | undefined;
}

export interface Need {
  readonly bytes: number;
  /** Inodes. */
  readonly files: number;
}

export const nothing: Need = { bytes: 0, files: 0 };

/** As an index counts them. */
export const blockBytes = 4096;

/** For each path: its row, references and signatures in Nix’s database, and the log written before them. */
const databaseBytes = 4096;
/** For each file: its name in a folder. */
const entryBytes = 64;
/** A file system’s own overhead on everything written: one part in this many. */
const mapShare = 64;

/** @param counts of a release’s store paths, as in its index; blocks of 4096 bytes */
export function needOf(counts: {
  readonly paths: number;
  readonly blocks: number;
  readonly files: number;
}): Need {
  const { paths, blocks, files } = counts;
  const contents = blocks * blockBytes;
  return {
    bytes: contents + Math.ceil(contents / mapShare) + files * entryBytes + paths * databaseBytes,
    files,
  };
}

/** Bytes and files that are free beside the need and the reserve; inodes are infinite if nobody counts them. */
export const slackOf = ({ freeBytes, freeInodes }: Space, need: Need, reserve: number): Need => ({
  bytes: freeBytes - need.bytes - reserve,
  files: (freeInodes ?? Number.POSITIVE_INFINITY) - need.files,
});

/** @param reserve bytes that must stay free in any case @returns what is wrong, for people; undefined if it fits */
export function shortageOf(
  { freeBytes, freeInodes }: Space,
  need: Need,
  reserve: number,
): string | undefined {
  if (need.bytes + reserve > freeBytes) {
    const [needed, free] = unlikeSizes(need.bytes + reserve, freeBytes);
    if (need.bytes === 0) return `${needed} must stay free; only ${free} free`;
    return `${needed} needed, of which ${sizeText(reserve)} must stay free; only ${free} free`;
  }
  if (freeInodes !== undefined && need.files > freeInodes)
    return `${need.files} files and folders needed; only ${freeInodes} inodes free`;
  return undefined;
}
