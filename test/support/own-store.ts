/**
 * A test file run again where /nix is a folder of its own (tools/set-up/sandbox): for what looks at a system at its own place in the
 * store. No Nix is started, so it takes no longer than the mounts.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { StorePath } from '../../src/core/store-path.ts';
import { temporaryFolder } from './bundles.ts';

const sandbox = join(import.meta.dirname, '../../tools/set-up/sandbox');
const marker = 'NIXMAKER_OWN_STORE';

/** @param url of the test file @param define its tests; they are run in there */
export function inOwnStore(url: string, define: () => void): void {
  if (process.env[marker] !== undefined) define();
  else
    test('in a store of its own', async (t) => {
      const { NODE_TEST_CONTEXT: _, ...env } = process.env;
      // With the same options: a change that tools/mutate makes is loaded by one.
      const again = [process.execPath, ...process.execArgv, fileURLToPath(url)];
      const args = ['--pdeathsig', 'KILL', sandbox, await temporaryFolder(t), ...again];
      const child = spawn('setpriv', args, {
        env: { ...env, [marker]: '1' },
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      let said = '';
      for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
      const [code] = await once(child, 'close');
      if (code !== 0) throw new Error(said);
    });
}

/** A system that says of itself what nixos-rebuild looks for. Nothing of it is run by `rootInMemory`. */
export async function placeSystem(
  system: StorePath,
  parts: Readonly<Record<string, string>> = {},
): Promise<void> {
  const files = { 'nixos-version': '26.05', 'bin/switch-to-configuration': '', ...parts };
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(system, name, '..'), { recursive: true });
    await writeFile(join(system, name), text, { mode: 0o755 });
  }
}
