/**
 * nixmaker in a few files, for machines of the tests: as it is installed, in programs that Node.js need not translate. In
 * virtual machines every file that is opened costs, too, and hundreds of them cost more than what is tested.
 */
import { cp, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { checkout, run } from '../../scripts/sandboxed-target.ts';

/** Where it lies in a machine. */
export const compiledAt = '/opt/compiled';
export const compiledNode = `${compiledAt}/node`;
export const compiledMain = `${compiledAt}/dist/cli/main.js`;
export const compiledHeld = `${compiledAt}/dist/held/held-service.js`;

/** Writes `dist/cli/main.js`, `dist/held/held-service.js` and what they look for beside them. */
export async function compileTo(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true });
  await cp(join(checkout, 'package.json'), join(folder, 'package.json'));
  const entries = { 'cli/main': 'src/cli/main.ts', 'held/held-service': 'test/support/held-service.ts' };
  for (const [name, entry] of Object.entries(entries)) {
    const ran = await run('esbuild', [
      join(checkout, entry),
      '--bundle',
      '--platform=node',
      '--format=esm',
      '--target=node24',
      '--log-level=warning',
      `--outfile=${join(folder, 'dist', `${name}.js`)}`,
      // Some packages are CommonJS and ask for Node.js' own modules.
      "--banner:js=import { createRequire as makeRequire } from 'node:module'; const require = makeRequire(import.meta.url); const __filename = import.meta.filename;",
    ]);
    if (ran.code !== 0) throw new Error(ran.stderr);
  }
}
