/** A test file run again where it may mount what it likes, and nobody else sees it: for machines with small disks. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const exec = promisify(execFile);
const marker = 'NIXMAKER_OWN_MOUNTS';

/** Milliseconds: it is all tests of a file, each of which has the time that any test has. */
const timeout = 1_500_000;

/** @param url of the test file @param define its tests; they are run in there */
export async function withOwnMounts(url: string, define: () => Promise<void>): Promise<void> {
  if (process.env[marker] !== undefined) return define();
  test('with mounts of its own', { timeout }, async () => {
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
  await exec('mount', ['-t', 'tmpfs', '-o', `size=${bytes},mode=755`, 'small', folder]);
}

/** The same in a folder of its own, until the test is over. */
export async function smallDisk(t: TestContext, bytes: number): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'nixmaker-disk-'));
  await mountSmall(folder, bytes);
  t.after(async () => {
    await exec('umount', [folder]);
    await rm(folder, { recursive: true });
  });
  return folder;
}

/** An fstab(5) of one line, in an /etc that has nothing else, until the test is over. Only where mounts are the test’s own. */
export async function wantMounted(t: TestContext, target: string): Promise<void> {
  await mountSmall('/etc', 65_536);
  t.after(() => exec('umount', ['/etc']));
  await writeFile('/etc/fstab', `LABEL=boot ${target} vfat nofail 0 0\n`);
}
