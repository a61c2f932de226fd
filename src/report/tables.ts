/** Text for people: status, history, the summary of a build, an inspected manifest. All of it fits 80 columns if the names do. */
import { type Side, textsFor } from '../core/catalogue-desk.ts';
import type { ReasonCode } from '../core/errors.ts';
import { asLines, joined, type Lines, lines } from '../core/lines.ts';
import type { Manifest } from '../core/release/manifest.ts';
import { sizeText } from '../core/size.ts';
import type { Cell } from './columns.ts';

type Row = readonly [string, Cell];

/** Label and value, one per line; unknown values are left out. */
export function fields(rows: readonly Row[]): Lines {
  const width = Math.max(...rows.map(([label]) => label.length)) + 2;
  const known = rows.filter(([, value]) => value !== undefined);
  return joined(known.map(([label, value = '']) => lines`${`${label}:`.padEnd(width)}${value}\n`));
}

/** Lines of `fields` that are wider than the terminal continue below their value, broken between words. */
export function wrapped(text: Lines, width = 80): Lines {
  const broken = text
    .split('\n')
    .map((line) => {
      const indent = /^[^ ]+:\s+/.exec(line)?.[0].length ?? /^\S+ \S+:\s+/.exec(line)?.[0].length ?? 0;
      return line.length <= width || indent === 0 ? line : breakLine(line, { width, indent });
    })
    .join('\n');
  return asLines(broken);
}

/** A line that is wider than the terminal continues below its own column `indent`. */
export const hanging = (line: Lines, indent: number, width = 80): Lines =>
  asLines(line.length <= width ? line : breakLine(line, { width, indent }));

function breakLine(line: string, { width, indent }: { width: number; indent: number }): string {
  const lines: string[] = [];
  let current = line
    .slice(0, indent)
    .trimEnd()
    .padEnd(indent - 1);
  for (const word of line.slice(indent).split(' ')) {
    // A store path longer than the remaining width stays whole: it is for copying.
    if (current.length + 1 + word.length > width && current.trim() !== '' && current.length >= indent) {
      lines.push(current);
      current = ' '.repeat(indent - 1);
    }
    current = `${current} ${word}`;
  }
  return [...lines, current].join('\n');
}

/** A code with its sentences, as printed when a command ends badly. */
export function explain(code: ReasonCode, detail: string, side: Side): Lines {
  const { what, next } = textsFor(code, side);
  return joined([
    lines`${what}\n`,
    ...(detail === '' ? [] : [lines`  ${detail}\n`]),
    lines`${next}\n(${code})\n`,
  ]);
}

export function manifestRows(manifest: Manifest): Row[] {
  const { paths, files, narBytes } = manifest.totals;
  return [
    ['Host', manifest.host],
    ['System type', manifest.system],
    ['Sequence', manifest.sequence],
    [
      'Created',
      manifest.createdAt.startsWith('1970-') ? 'unknown (not built from a Git commit)' : manifest.createdAt,
    ],
    ['Expires', manifest.expiresAt],
    ['Machine id', manifest.machineId],
    ['Downgrade from', manifest.downgradeFrom],
    ['One-way', manifest.noWayBack],
    ['Content', manifest.content],
    ['Toplevel', manifest.toplevel],
    ['Derivation', manifest.derivation],
    ['Store paths', `${paths} of ${files} files, ${sizeText(narBytes)} unpacked`],
    ['Index', sizeText(manifest.index.size)],
    ['Flake', manifest.flake?.description],
    ['Revision', manifest.flake?.revision],
    ['Notes', manifest.notes],
  ];
}
