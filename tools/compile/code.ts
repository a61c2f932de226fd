/**
 * A compiled program, NAME.code.cjs, and beside it V8's compiled code for it (keep.ts), by V8's version and options and the kind
 * of processor: if one of these differs, V8 compiles as it would without. Kept code halves the start-up cost.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { Script } from 'node:vm';

const isJitless = `${process.env.NODE_OPTIONS ?? ''} ${process.execArgv.join(' ')}`.includes('--jitless');

/** V8 itself looks whether it fits (cachedDataVersionTag), and its other options; to ask for that takes as long as loading node:stream. */
export const keptFile = (name: string) =>
  `${name}.${process.versions.v8}.${process.arch}${isJitless ? '.jitless' : ''}.v8`;

/** The keeper's last word (keep.ts). */
export const kept = 'kept\n';

/** @param name its path, without .code.cjs */
export function readProgram(name: string, cachedData?: Buffer): { readonly script: Script; run(): void } {
  const filename = `${name}.code.cjs`;
  // It is ASCII: compile/main.ts sees to it.
  const source = readFileSync(filename, 'latin1');
  const module = `(function (exports, require, module, __filename, __dirname) {${source}\n})`;
  const script = new Script(module, { filename, ...(cachedData === undefined ? {} : { cachedData }) });
  return {
    script,
    run: () => {
      const made = { exports: {} };
      script.runInThisContext()(made.exports, createRequire(filename), made, filename, dirname(filename));
    },
  };
}
