/**
 * A bound on memory where the machine of a test has none of its own: where the kernel keeps its first hierarchies
 * (cgroup-v1/memory), a bed’s systemd has no memory controller, and `MemoryMax=` does nothing there.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const hierarchy = '/sys/fs/cgroup/memory';

export interface MemoryGroup {
  /** Bytes that all in it have had at most, what is kept of files included. */
  peak(): Promise<number>;
  /** Processes that the kernel has ended for want of memory. */
  kills(): Promise<number>;
  remove(): Promise<void>;
}

/**
 * What `start` starts has so much memory, and what that starts. Undefined where there is no such hierarchy.
 * @param parent whose children they are: it is in the group for that long
 */
export async function startWithin(
  bytes: number,
  parent: number,
  start: () => Promise<void>,
): Promise<MemoryGroup | undefined> {
  if (!existsSync(join(hierarchy, 'memory.limit_in_bytes'))) {
    await start();
    return undefined;
  }
  const own = (await readFile(`/proc/${parent}/cgroup`, 'utf8')).match(/^\d+:memory:(.*)$/m)?.[1] ?? '/';
  const group = join(hierarchy, `nixmaker-test-${parent}`);
  await mkdir(group);
  await writeFile(join(group, 'memory.limit_in_bytes'), String(bytes));
  const move = (to: string) => writeFile(join(to, 'cgroup.procs'), String(parent));
  await move(group);
  try {
    await start();
  } finally {
    await move(join(hierarchy, own));
  }
  const number = async (file: string, pattern: RegExp) =>
    Number(pattern.exec(await readFile(join(group, file), 'utf8'))?.[1]);
  return {
    peak: () => number('memory.max_usage_in_bytes', /^(\d+)/),
    kills: () => number('memory.oom_control', /^oom_kill (\d+)/m),
    // To be called when nothing is in it any more.
    remove: () => rmdir(group),
  };
}
