/** A test file run again where it may mount what it likes, and nobody else sees it: for machines with small disks. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir } from 'node:fs/promises';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { run } from '../machines/program.ts';

const marker = 'NIXMAKER_OWN_MOUNTS';

/** @param url of the test file @param define its tests; they are run in there */
export async function withOwnMounts(url: string, define: () => Promise<void>): Promise<void> {
  if (process.env[marker] !== undefined) return define();
  test('with mounts of its own', async () => {
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const user = process.getuid?.() === 0 ? [] : ['--map-root-user'];
    const again = [process.execPath, ...process.execArgv, fileURLToPath(url)];
    const apart = ['unshare', '--mount', '--propagation', 'private', ...user, ...again];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', ...apart], {
      env: { ...env, [marker]: '1' },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (said += chunk));
    const [code] = await once(child, 'close');
    if (code !== 0) throw new Error(said);
  });
}

/** A file system in memory of that many bytes. */
export async function mountSmall(folder: string, bytes: number): Promise<void> {
  await mkdir(folder, { recursive: true });
  const ran = await run('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=755`, 'small', folder]);
  if (ran.code !== 0) throw new Error(ran.stderr);
}
