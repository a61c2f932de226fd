/** What index lines need on a disk once unpacked. Pure. */
import { type Need, needOf } from '../room.ts';
import type { ReleaseIndex } from './index-file.ts';

export const needOfLines = (index: ReleaseIndex, lines: Iterable<number>): Need =>
  needOf(countLines(index, lines));

export function countLines(
  index: ReleaseIndex,
  lines: Iterable<number>,
): { readonly paths: number; readonly blocks: number; readonly files: number } {
  const counts = { paths: 0, blocks: 0, files: 0 };
  for (const line of lines) {
    counts.paths += 1;
    counts.blocks += index.blocks(line);
    counts.files += index.files(line);
  }
  return counts;
}
