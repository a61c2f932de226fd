/**
 * A compiled program: NAME.code.cjs has its chunks as functions (link.ts), each compiled when first needed. Beside it V8’s compiled
 * code for them (keep.ts), by V8’s version, kind of processor and options: if one of these differs, V8 compiles as it
 * would without. Kept code halves the start-up cost.
 */
import { openSync } from 'node:fs';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Script } from 'node:vm';
import { hasStamp, readBlock } from './blocks.ts';

/** Where a chunk, a block of the file (blocks.ts), begins, its size, both in bytes, and on which line, from 0. */
export type Place = readonly [at: number, size: number, line: number];

export interface Layout {
  readonly places: readonly Place[];
  /** Of this text and no other: it stands around each chunk in the file, and around what V8 made of it. */
  readonly stamp: string;
}

/** In the file, where it is a comment. */
export const stampLine = (stamp: string): string => `//${stamp}\n`;

const isJitless = `${process.env.NODE_OPTIONS ?? ''} ${process.execArgv.join(' ')}`.includes('--jitless');

/** V8 itself looks whether it fits (cachedDataVersionTag), and its other options; to ask for that takes as long as loading node:stream. */
export const keptFile = (name: string) =>
  `${name}.${process.versions.v8}.${process.arch}${isJitless ? '.jitless' : ''}.v8`;

/** The keeper’s last word (keep.ts). */
export const kept = 'kept\n';

type Exports = Readonly<Record<string, unknown>>;
type Load = (chunk: number) => Exports;
type Chunk = (
  load: Load,
  require: NodeJS.Require,
  filename: string,
  dirname: string,
  here: string,
) => Exports;

export interface Program {
  /** Of each chunk that was needed, by number. */
  readonly scripts: ReadonlyMap<number, Script>;
  /** From its first chunk. */
  run(): void;
}

/**
 * @param name its path, without .code.cjs
 * @param keptOf V8’s compiled code of a chunk
 * @param require for Node.js’ own modules
 * @throws Error if the file is cut short or another version’s: a verb would stop in the middle, where it needs what is missing
 */
export function readProgram(
  name: string,
  { places, stamp }: Layout,
  keptOf: (chunk: number) => Buffer | undefined,
  require: NodeJS.Require,
): Program {
  const filename = `${name}.code.cjs`;
  const [folder, here] = [dirname(filename), pathToFileURL(filename).href];
  // Stays open: what is installed may be another by the time a chunk of it is needed.
  const file = openSync(filename, 'r');
  const line = stampLine(stamp);
  const unusable = () =>
    new Error(`${filename} is cut short or of another version than ${name}.cjs: install nixmaker again`);
  const [lastAt, lastSize] = places.at(-1) as Place;
  if (!hasStamp(file, line, lastAt + lastSize)) throw unusable();
  const scripts = new Map<number, Script>();
  const scriptOf = (chunk: number): Script => {
    const [at, size, lineOffset] = places[chunk] as Place;
    // It is ASCII: compile/main.ts sees to it.
    const source = readBlock(file, line, at, size)?.toString('latin1');
    if (source === undefined) throw unusable();
    const cachedData = keptOf(chunk);
    const options = { filename, lineOffset, ...(cachedData === undefined ? {} : { cachedData }) };
    return new Script(source, options);
  };
  const run = () => {
    const made: Exports[] = [];
    const load = (chunk: number): Exports => {
      const known = made[chunk];
      if (known !== undefined) return known;
      const script = scripts.get(chunk) ?? scriptOf(chunk);
      scripts.set(chunk, script);
      const body = script.runInThisContext() as Chunk;
      const exports = body(load, require, filename, folder, here);
      made[chunk] = exports;
      return exports;
    };
    load(0);
  };
  return { scripts, run };
}
