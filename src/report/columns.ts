/**
 * Tables that a terminal does not wrap: if they are too wide, long cells continue below themselves between words, and a last
 * column of long words (paths, for copying) gets a line of its own.
 */
import { printable } from '../core/errors.ts';
import { foldWords } from '../core/fold.ts';
import { joined, type Lines, lines } from '../core/lines.ts';
import { type Style, styled } from '../core/style.ts';

export type Cell = string | number | undefined;

export interface TableOptions {
  /** Columns of the terminal; if unset, or in a pipe, each row is one line. */
  readonly width?: number | undefined;
  /** Columns to drop first if the table is too wide for its terminal, in this order. */
  readonly optional?: readonly number[];
  /** @param row counted from 0, without the heads */
  readonly style?: (row: number, column: number) => Style | undefined;
}

const gap = 2;
const indent = '    ';

export function table(
  heads: readonly string[],
  rows: readonly (readonly Cell[])[],
  options: TableOptions = {},
): Lines {
  const {
    width = Number.POSITIVE_INFINITY,
    style = () => undefined,
    optional: [dropped, ...optional] = [],
  } = options;
  const cells = [heads, ...rows].map((row) => row.map((cell) => printable(String(cell ?? '-'))));
  const styleOf = (row: number, column: number) => (row === 0 ? undefined : style(row - 1, column));
  const widths = fitted(cells, width);
  if (widths !== undefined)
    return joined(cells.flatMap((row, i) => linesOf(row, widths, (c) => styleOf(i, c))));
  if (dropped !== undefined) {
    const without = <T>(row: readonly T[]): T[] => row.filter((_, column) => column !== dropped);
    const shift = (column: number) => (column < dropped ? column : column + 1);
    return table(without(heads), rows.map(without), {
      width,
      optional: optional.map((column) => (column < dropped ? column : column - 1)),
      style: (row, column) => style(row, shift(column)),
    });
  }
  const first = cells.map((row) => row.slice(0, -1));
  const firstWidths = fitted(first, width) ?? naturalWidths(first);
  return joined(
    first.flatMap((row, i) => [
      ...linesOf(row, firstWidths, (c) => styleOf(i, c)),
      styled(styleOf(i, heads.length - 1), lines`${`${indent}${cells[i]?.at(-1) ?? ''}`.trimEnd()}\n`),
    ]),
  );
}

const naturalWidths = (cells: readonly (readonly string[])[]): number[] =>
  (cells[0] ?? []).map((_, column) => Math.max(...cells.map((row) => row[column]?.length ?? 0)));

const longestWord = (text: string): number => Math.max(...text.split(' ').map((word) => word.length));

/** Widths at which each row fits, narrowing the widest columns first; undefined if words are too long for that. */
function fitted(cells: readonly (readonly string[])[], width: number): number[] | undefined {
  const widths = naturalWidths(cells);
  const least = widths.map((_, column) => Math.max(...cells.map((row) => longestWord(row[column] ?? ''))));
  const total = (all: readonly number[]) => all.reduce((sum, w) => sum + w, gap * (all.length - 1));
  if (total(widths) <= width) return widths;
  if (total(least) > width) return undefined;
  while (total(widths) > width) {
    const slack = widths.map((w, column) => (w > (least[column] ?? 0) ? w : 0));
    const widest = slack.indexOf(Math.max(...slack));
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

/** One row, in as many lines as its longest cell needs. */
function linesOf(
  row: readonly string[],
  widths: readonly number[],
  styleOf: (column: number) => Style | undefined,
): Lines[] {
  const broken = row.map((cell, column) => foldWords(cell, widths[column] ?? 0));
  const height = Math.max(...broken.map((parts) => parts.length));
  return Array.from({ length: height }, (_, i) => {
    const last = broken.findLastIndex((parts) => (parts[i] ?? '') !== '');
    const parts = broken.slice(0, last + 1).map((cell, column) => {
      const text = cell[i] ?? '';
      const rest = column === last ? 0 : (widths[column] ?? 0) - text.length + gap;
      return joined([
        styled(text === '' ? undefined : styleOf(column), lines`${text}`),
        lines`${' '.repeat(rest)}`,
      ]);
    });
    return joined([...parts, lines`\n`]);
  });
}
