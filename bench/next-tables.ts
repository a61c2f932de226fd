/** Tables of what a release costs that changed little, and of ten hosts against one. */
import type { Cost, HostsFigures, NextFigures } from './next.ts';
import { s, table, times } from './tables.ts';

const both = ({ time, processor }: Cost) => [s(time), s(processor)] as const;

export const nextTable = ({ paths, first, next, anew, copied }: NextFigures): string =>
  table(
    [`A release of ${paths} paths, of which 2 % are new`, 'time', 'of the processor', 'less than the first'],
    [
      ['the first release, with nothing kept', ...both(first), ''],
      [
        'the next',
        ...both(next),
        `${times(first.time / next.time)}; of the processor ${times(first.processor / next.processor)}`,
      ],
      ['the next with `--no-cache`', ...both(anew), ''],
      ['the floor: its bundle hashed, copied and flushed', ...both(copied), ''],
    ],
  );

export function hostsTable({ hosts, one, all, putOne, putAll, copied }: HostsFigures): string {
  const ratio = (more: Cost, less: Cost) =>
    `${times(more.time / less.time)}; of the processor ${times(more.processor / less.processor)}`;
  const cost = (of: Cost) => both(of).join('; of the processor ');
  return table(
    [`${hosts} hosts that share nine paths in ten`, 'one', 'all', 'all against one'],
    [
      [
        `\`build\`, which writes as many bundles (copied and flushed: ${s(copied)})`,
        cost(one),
        cost(all),
        ratio(all, one),
      ],
      ['`put --flake`, which writes none', cost(putOne), cost(putAll), ratio(putAll, putOne)],
    ],
  );
}
