/**
 * How many names a folder of a FAT file system holds. Its entries are at most 2 MiB, however much room the medium has (fatgen103,
 * “Directory Structure”; Linux fs/fat/fat.h, FAT_MAX_DIR_SIZE).
 */

/** From statfs(2): FAT12, FAT16 and FAT32. exFAT’s folders hold a hundred times as much. */
export const fatMagic = 0x4d44;

export const entriesOfFolder = 65_536;

/** One for the short name, and one per 13 UTF-16 units of the long one. A name that needs no long one is counted as if it did. */
const entriesOf = (name: string): number => 1 + Math.ceil(name.length / 13);

interface FolderNames {
  readonly there: readonly string[];
  readonly wanted: readonly string[];
}

/** Temporary names while writing, `.` and `..`, and gaps that no name fits into. */
const spare = 64;

/** @returns how many entries the folder lacks; 0 if there is room */
export function missingEntries({ there, wanted }: FolderNames): number {
  const known = new Set(there);
  const sum = [...there, ...wanted.filter((name) => !known.has(name))].reduce(
    (total, name) => total + entriesOf(name),
    spare,
  );
  return Math.max(0, sum - entriesOfFolder);
}
