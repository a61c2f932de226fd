/**
 * main.ts FOLDER [--reproducible]: makes what is installed. esbuild puts code and packages into one file, in which each verb's part runs
 * when needed. One CommonJS file starts faster than modules in many files, and V8's compiled code for it can be kept (code.ts).
 */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type BuildOptions, build } from 'esbuild';
import { kept } from './code.ts';

const checkout = join(import.meta.dirname, '../..');

export interface Program {
  readonly entry: string;
  /** Calls after which V8 has seen what most processes need. `%` is a settings file, `%no` is not one. */
  readonly calls: readonly (readonly string[])[];
}

/** Verbs that only read, and ones that load what they need and then find the settings malformed: nothing is done here. */
export const commandLine: Readonly<Record<string, Program>> = {
  'cli/main': {
    entry: 'src/cli/main.ts',
    calls: [
      ['agent', '--once', '--settings', '%no'],
      ['activate', '--settings', '%no'],
      ['switch', '--tarball', '%', '--settings', '%no'],
      ['status', '--settings', '%'],
      ['history', '--settings', '%'],
      ['verify', '%', '--key', 'none'],
      ['build', '--flake', '%no', '--dir', '%no'],
      ['put', '%no', '%no'],
    ],
  },
};

/** How Node.js is started on machines: by the agent's unit, and by everything else. */
const options = ['--jitless', ''];

const common: BuildOptions = {
  absWorkingDir: checkout,
  bundle: true,
  platform: 'node',
  format: 'cjs',
  target: 'node24',
  logLevel: 'warning',
};

/**
 * Makes NAME.cjs for each program; the files NAME.* need no others. Types are for `npm run lint`.
 * @param folder under its final name
 * @param options `keepCode`: also V8's compiled code. It differs from build to build, so reproducible output goes without it:
 * a system that contains nixmaker must be the same on every builder
 */
export async function compileInto(
  folder: string,
  programs: Readonly<Record<string, Program>>,
  { keepCode }: { readonly keepCode: boolean },
): Promise<void> {
  await build({
    ...common,
    entryPoints: Object.entries(programs).map(([out, { entry }]) => ({ out: `${out}.code`, in: entry })),
    outdir: folder,
    outExtension: { '.js': '.cjs' },
    legalComments: 'linked',
    // All of it stays in memory as long as the agent lives. Names are kept, to show where a fault came from.
    minifyWhitespace: true,
    minifySyntax: true,
    // Tagged templates keep their source, which is not ASCII; lowered, they are ordinary strings.
    supported: { 'dynamic-import': false, 'template-literal': false },
    // node-disk-info uses it for Windows' code pages: half a megabyte of tables.
    alias: { 'iconv-lite': './tools/compile/nothing.ts', xmlbuilder2: './tools/compile/nothing.ts' },
    // As in the modules it is made of.
    banner: { js: '"use strict"; const __here = require("node:url").pathToFileURL(__filename).href;' },
    define: { 'import.meta.url': '__here' },
  });
  for (const [name, { calls }] of Object.entries(programs)) {
    const path = join(folder, name);
    if (/[^\0-\x7f]/.test(readFileSync(`${path}.code.cjs`, 'latin1')))
      throw new Error(`${path}.code.cjs is not ASCII`);
    await build({ ...common, entryPoints: ['tools/compile/start.ts'], outfile: `${path}.cjs` });
    if (keepCode) await keep(path, calls);
  }
}

/** V8's compiled code is kept by running the program: without any other program, and in a folder that is nobody's. */
async function keep(path: string, calls: Program['calls']): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'nixmaker-compile-'));
  try {
    const settings = join(folder, 'settings.json');
    const places = ['inbox', 'stateDirectory', 'activationDirectory', 'policyFile', 'runtimeDirectory'];
    writeFileSync(
      settings,
      JSON.stringify(Object.fromEntries(places.map((key) => [key, join(folder, key)]))),
    );
    const malformed = `${settings}.no`;
    writeFileSync(malformed, '{');
    const given = calls.map((call) =>
      call.map((word) => word.replace(/^%no$/, malformed).replace(/^%$/, settings)),
    );
    // Node.js' own TypeScript reader needs what --jitless forbids.
    const keeper = join(folder, 'keep.cjs');
    await build({ ...common, entryPoints: ['tools/compile/keep.ts'], outfile: keeper });
    for (const option of options) {
      const env = { PATH: '/none', HOME: folder, NODE_OPTIONS: option };
      const words = [keeper, path, JSON.stringify(given)];
      const ran = spawnSync(process.execPath, words, {
        env,
        cwd: folder,
        encoding: 'utf8',
        timeout: 120_000,
      });
      if (!ran.stdout.endsWith(kept)) throw new Error(`${path}: its code can’t be kept: ${ran.stderr}`);
    }
  } finally {
    rmSync(folder, { recursive: true });
  }
}

if (import.meta.main) {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { reproducible: { type: 'boolean', default: false } },
  });
  const [folder = 'dist'] = positionals;
  await compileInto(resolve(folder), commandLine, { keepCode: !values.reproducible });
}
