/**
 * `parts.json` beside a pool entry’s `contents`: this medium is one of several that carry a release, and which carries what. Not signed: it
 * tells people what to bring next, and decides nothing about what is imported.
 */
import { limits } from '../limits.ts';
import * as z from '../zod.ts';
import type { ReleaseIndex } from './index-file.ts';

/** Media of one set. */
export const mostParts = 999;

const partNumber = z.int().check(z.gte(1), z.lte(mostParts));

const schema = z.strictObject({
  schema: z.literal(1),
  /** sha256 of the release’s manifest, hexadecimal. */
  manifest: z.string().check(z.regex(/^[0-9a-f]{64}$/)),
  part: partNumber,
  of: partNumber,
  /** Runs of index lines: how many, and the part that carries them; 0 for what no part carries. */
  lines: z
    .array(z.tuple([z.int().check(z.gte(1)), z.int().check(z.gte(0), z.lte(mostParts))]))
    .check(z.maxLength(limits.lines)),
});

export interface PartsHint {
  readonly part: number;
  readonly of: number;
  /** By index line; 0 if no part carries it. */
  readonly partOf: Uint16Array;
}

/** Bytes: a run of one line each takes 8. */
export const mostPartsBytes = ({ length }: Pick<ReleaseIndex, 'length'>): number => 256 + 12 * length;

export function encodeParts({ part, of, partOf }: PartsHint, manifestDigest: string): Buffer {
  const lines: [number, number][] = [];
  for (const each of partOf) {
    const last = lines.at(-1);
    if (last?.[1] === each) last[0] += 1;
    else lines.push([1, each]);
  }
  return Buffer.from(`${JSON.stringify({ schema: 1, manifest: manifestDigest, part, of, lines })}\n`);
}

/** Undefined for anything but the hint for this release: what it would have said is then unknown. */
export function parseParts(
  bytes: Buffer,
  {
    manifestDigest,
    index,
  }: { readonly manifestDigest: string; readonly index: Pick<ReleaseIndex, 'length'> },
): PartsHint | undefined {
  const found = schema.safeParse(jsonOf(bytes)).data;
  if (found === undefined || found.manifest !== manifestDigest || found.part > found.of) return undefined;
  const { part, of, lines } = found;
  const partOf = new Uint16Array(index.length);
  let line = 0;
  for (const [count, carrier] of lines) {
    if (carrier > of || line + count > index.length) return undefined;
    partOf.fill(carrier, line, line + count);
    line += count;
  }
  return line === index.length ? { part, of, partOf } : undefined;
}

function jsonOf(bytes: Buffer): unknown {
  try {
    return JSON.parse(bytes.toString('utf8'));
  } catch {
    return undefined;
  }
}

/** The parts that carry these lines, ascending: the first of them can be imported as soon as it comes. */
export function partsWith(lines: Iterable<number>, { partOf }: PartsHint): number[] {
  const parts = new Set<number>();
  for (const line of lines) parts.add(partOf[line] ?? 0);
  return [...parts].sort((a, b) => a - b);
}

/** What can be imported now: its piece is here, and so is all it refers to, or it comes along. @param missing ascending */
export function importable(
  missing: readonly number[],
  index: Pick<ReleaseIndex, 'line'>,
  hasPiece: (line: number) => boolean,
): number[] {
  const absent = new Set(missing);
  const now: number[] = [];
  for (const line of missing) {
    const refersTo = hasPiece(line) ? index.line(line).references : undefined;
    if (refersTo === undefined || refersTo.some((r) => r !== line && absent.has(r))) continue;
    absent.delete(line);
    now.push(line);
  }
  return now;
}

/** Of the lines that are there, those that none of the others refers to: holding them holds all. */
export function topmost(
  index: Pick<ReleaseIndex, 'line' | 'length'>,
  isThere: (line: number) => boolean,
): number[] {
  const held = new Set<number>();
  const tops: number[] = [];
  for (let line = index.length - 1; line >= 0; line--) {
    if (!isThere(line)) continue;
    if (!held.has(line)) tops.push(line);
    for (const r of index.line(line).references) held.add(r);
  }
  return tops.reverse();
}

export interface PartsNeeded {
  readonly of: number;
  /** Ascending; the first can be imported as soon as it comes. */
  readonly needed: readonly number[];
}

/** For people. */
export function neededText({ of, needed }: PartsNeeded): string {
  const [first] = needed;
  const all =
    needed.length === 1 ? `part ${first}` : `parts ${needed.slice(0, -1).join(', ')} and ${needed.at(-1)}`;
  return `still needed of ${of}: ${all}${needed.length === 1 ? '' : `; bring part ${first} next`}`;
}
