/** Text for people: status, history, the summary of a build, an inspected manifest. All of it fits 80 columns where names do. */
import prettyBytes from 'pretty-bytes';
import { catalogue } from '../core/catalogue.ts';
import { printable, type ReasonCode } from '../core/errors.ts';
import type { Manifest } from '../core/release/manifest.ts';

type Cell = string | number | undefined;

/** Label and value, one a line; values that are unknown are left out. */
export function fields(rows: readonly (readonly [string, Cell])[]): string {
  const width = Math.max(...rows.map(([label]) => label.length)) + 2;
  return rows
    .filter(([, value]) => value !== undefined)
    .map(([label, value]) => `${`${label}:`.padEnd(width)}${printable(String(value))}\n`)
    .join('');
}

export function table(heads: readonly string[], rows: readonly (readonly Cell[])[]): string {
  const lines = [heads, ...rows].map((row) => row.map((cell) => printable(String(cell ?? '-'))));
  const widths = heads.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0)));
  return lines
    .map(
      (line) =>
        `${line
          .map((cell, column) => cell.padEnd(widths[column] ?? 0))
          .join('  ')
          .trimEnd()}\n`,
    )
    .join('');
}

/** Lines of `fields` that are longer than a terminal is wide go on below their value, broken between words. */
export function wrapped(text: string, width = 80): string {
  return text
    .split('\n')
    .map((line) => {
      const indent = /^[^ ]+:\s+/.exec(line)?.[0].length ?? /^\S+ \S+:\s+/.exec(line)?.[0].length ?? 0;
      return line.length <= width || indent === 0 ? line : breakLine(line, { width, indent });
    })
    .join('\n');
}

/** One line that goes on below its own column `indent` where it is longer than a terminal is wide. */
export const hanging = (line: string, indent: number, width = 80): string =>
  line.length <= width ? line : breakLine(line, { width, indent });

function breakLine(line: string, { width, indent }: { width: number; indent: number }): string {
  const lines: string[] = [];
  let current = line
    .slice(0, indent)
    .trimEnd()
    .padEnd(indent - 1);
  for (const word of line.slice(indent).split(' ')) {
    // A store path is longer than what is left, and stays whole: it is for copying.
    if (current.length + 1 + word.length > width && current.trim() !== '' && current.length >= indent) {
      lines.push(current);
      current = ' '.repeat(indent - 1);
    }
    current = `${current} ${word}`;
  }
  return [...lines, current].join('\n');
}

export const bytes = (count: number): string => prettyBytes(count, { binary: true });

/** A code with its sentences, as it is printed when a command ends badly. */
export function explain(code: ReasonCode, detail: string): string {
  const { what, next } = catalogue[code];
  return `${what}\n${detail === '' ? '' : `  ${printable(detail)}\n`}${next}\n(${code})\n`;
}

export function manifestFields(manifest: Manifest): string {
  const { paths, files, narBytes } = manifest.totals;
  return fields([
    ['Host', manifest.host],
    ['System type', manifest.system],
    ['Sequence', manifest.sequence],
    [
      'Created',
      manifest.createdAt.startsWith('1970-') ? 'unknown (the flake was no commit)' : manifest.createdAt,
    ],
    ['Expires', manifest.expiresAt],
    ['Machine id', manifest.machineId],
    ['Downgrade from', manifest.downgradeFrom],
    ['Content', manifest.content],
    ['Toplevel', manifest.toplevel],
    ['Derivation', manifest.derivation],
    ['Store paths', `${paths} of ${files} files, ${bytes(narBytes)} unpacked`],
    ['Index', bytes(manifest.index.size)],
    ['Flake', manifest.flake?.description],
    ['Revision', manifest.flake?.revision],
    ['Notes', manifest.notes],
  ]);
}
