/** Targets for one measurement each. */
import { readFile, rm } from 'node:fs/promises';
import { run } from '../test/machines/program.ts';
import { makeTarget, type Target } from '../test/machines/sandboxed-target.ts';
import type { Key } from './system.ts';

export async function removeFolder(folder: string): Promise<void> {
  await run('chmod', ['--recursive', 'u+w', folder]);
  await rm(folder, { recursive: true, force: true });
}

export async function freshTarget(
  root: string,
  { key, host = 'host', nixConf = '' }: { key: Key; host?: string; nixConf?: string },
): Promise<{ target: Target; remove: () => Promise<void> }> {
  const target = await makeTarget(root, { host, trustedKeys: [key.publicKey], nixConf });
  // What others have left to be written is not what is measured.
  await run('sync', []);
  const remove = async () => {
    await target.close();
    await removeFolder(root);
  };
  return { target, remove };
}

/** One whose policy takes recipes, and more of them than usual. */
export async function realSizeTarget(
  root: string,
  { key }: { key: Key },
): Promise<{ target: Target; remove: () => Promise<void> }> {
  const policy = { realise: 'build', limits: { paths: 200_000 } };
  const target = await makeTarget(root, { host: 'host', trustedKeys: [key.publicKey], policy });
  const remove = async () => {
    await target.close();
    await removeFolder(root);
  };
  return { target, remove };
}

/** Peak resident memory of a process, in bytes (proc(5), VmHWM). */
export async function peakMemory(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/status`, 'utf8');
  return Number(/^VmHWM:\s+(\d+) kB$/m.exec(text)?.[1]) * 1024;
}
