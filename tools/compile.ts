/**
 * compile.ts FOLDER: what is installed. esbuild puts code and packages into one file, and each verb's part of it is run when it
 * is needed. One file of CommonJS starts in two thirds of the time that modules in many files take.
 */
import { join } from 'node:path';
import { build } from 'esbuild';

const checkout = join(import.meta.dirname, '..');

/** The command line. */
export const commandLine = { 'cli/main': 'src/cli/main.ts' };

/** Every program gets a file NAME.cjs of its own that needs no other. Types are for `npm run lint`. */
export async function compileInto(folder: string, programs: Readonly<Record<string, string>>): Promise<void> {
  await build({
    absWorkingDir: checkout,
    entryPoints: Object.entries(programs).map(([out, path]) => ({ out, in: path })),
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node24',
    legalComments: 'linked',
    // All of it is in memory as long as the agent lives. Names stay, for whoever reads where a fault came from.
    minifyWhitespace: true,
    minifySyntax: true,
    // node-disk-info has it for Windows' code pages: half a megabyte of tables.
    alias: { 'iconv-lite': './tools/nothing.ts' },
    logLevel: 'warning',
    // As in the modules that it is made of.
    banner: { js: '"use strict"; const __here = require("node:url").pathToFileURL(__filename).href;' },
    define: { 'import.meta.url': '__here' },
  });
}

if (import.meta.main) {
  const [folder = 'dist'] = process.argv.slice(2);
  await compileInto(folder, commandLine);
}
