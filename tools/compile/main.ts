/**
 * main.ts FOLDER [--reproducible]: makes what is installed. esbuild splits code and packages by what each verb needs (split.ts); all of
 * it is in one file, and each verb compiles its own chunks. V8’s compiled code for them can be kept (code.ts).
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { type BuildOptions, build } from 'esbuild';
import { kept, type Layout } from './code.ts';
import { split } from './split.ts';

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
  target: 'node24',
  logLevel: 'warning',
};

const ofPrograms: BuildOptions = {
  ...common,
  // All of it stays in memory as long as the agent lives. Names are kept, to show where a fault came from.
  minifyWhitespace: true,
  minifySyntax: true,
  // Tagged templates keep their source, which is not ASCII; lowered, they are ordinary strings.
  supported: { 'template-literal': false },
  // node-disk-info uses it for Windows' code pages: half a megabyte of tables.
  alias: { 'iconv-lite': './tools/compile/nothing.ts', xmlbuilder2: './tools/compile/nothing.ts' },
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
  for (const [name, { entry, calls }] of Object.entries(programs)) {
    const path = join(folder, name);
    const { code, layout, licenses } = await split(ofPrograms, entry);
    if (/[^\0-\x7f]/.test(code)) throw new Error(`${path}.code.cjs is not ASCII`);
    mkdirSync(dirname(path), { recursive: true });
    writeFileSync(`${path}.code.cjs`, code);
    writeFileSync(`${path}.code.cjs.LEGAL.txt`, licenses);
    await build({
      ...common,
      format: 'cjs',
      entryPoints: ['tools/compile/start.ts'],
      outfile: `${path}.cjs`,
      define: { __layout: JSON.stringify(layout) },
    });
    if (keepCode) await keep(path, layout, calls);
  }
}

/** V8's compiled code is kept by running the program: without any other program, and in a folder that is nobody's. */
async function keep(path: string, layout: Layout, calls: Program['calls']): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'nixmaker-compile-'));
  try {
    const settings = join(folder, 'settings.json');
    const keys = ['inbox', 'stateDirectory', 'activationDirectory', 'policyFile', 'runtimeDirectory'];
    writeFileSync(settings, JSON.stringify(Object.fromEntries(keys.map((key) => [key, join(folder, key)]))));
    const malformed = `${settings}.no`;
    writeFileSync(malformed, '{');
    const given = calls.map((call) =>
      call.map((word) => word.replace(/^%no$/, malformed).replace(/^%$/, settings)),
    );
    // Node.js' own TypeScript reader needs what --jitless forbids.
    const keeper = join(folder, 'keep.cjs');
    await build({ ...common, format: 'cjs', entryPoints: ['tools/compile/keep.ts'], outfile: keeper });
    for (const option of options) {
      const env = { PATH: '/none', HOME: folder, NODE_OPTIONS: option };
      const words = [keeper, path, JSON.stringify(layout), JSON.stringify(given)];
      const ran = spawnSync(process.execPath, words, {
        env,
        cwd: folder,
        encoding: 'utf8',
        timeout: 120_000,
      });
      if (!ran.stdout.endsWith(kept))
        throw new Error(`${path}: its code can’t be kept: ${ran.stderr.slice(-2000)}`);
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
