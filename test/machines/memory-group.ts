/**
 * A bound on memory where the machine of a test has none of its own: where the kernel keeps its first hierarchies
 * (cgroup-v1/memory), a bed’s systemd has no memory controller, and `MemoryMax=` does nothing there.
 */
import { existsSync } from 'node:fs';
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';

const hierarchy = '/sys/fs/cgroup/memory';

export interface MemoryGroup {
  /** What the parent starts until it leaves is in the group, and the parent itself. */
  enter(): Promise<void>;
  leave(): Promise<void>;
  /** Bytes that all in it have had at most since the last look, what is kept of files included. */
  peak(): Promise<number>;
  /** Processes that the kernel has ended for want of memory. */
  kills(): Promise<number>;
  /** To be called when nothing is in it any more. */
  remove(): Promise<void>;
}

/** What `start` starts has so much memory, and what that starts. Undefined where there is no such hierarchy. */
export async function startWithin(
  bytes: number,
  parent: number,
  start: () => Promise<void>,
): Promise<MemoryGroup | undefined> {
  const group = await memoryGroup(bytes, parent);
  await group?.enter();
  try {
    await start();
  } finally {
    await group?.leave();
  }
  return group;
}

/**
 * A group for children of one process. Undefined where there is no such hierarchy.
 * @param what tells it from others of the same parent
 */
export async function memoryGroup(
  bytes: number,
  parent: number,
  what = 'one',
): Promise<MemoryGroup | undefined> {
  if (!existsSync(join(hierarchy, 'memory.limit_in_bytes'))) return undefined;
  const own = (await readFile(`/proc/${parent}/cgroup`, 'utf8')).match(/^\d+:memory:(.*)$/m)?.[1] ?? '/';
  const group = join(hierarchy, `nixmaker-test-${parent}-${what}`);
  await mkdir(group);
  await writeFile(join(group, 'memory.limit_in_bytes'), String(bytes));
  const move = (to: string) => writeFile(join(to, 'cgroup.procs'), String(parent));
  const number = async (file: string, pattern: RegExp) =>
    Number(pattern.exec(await readFile(join(group, file), 'utf8'))?.[1]);
  return {
    enter: () => move(group),
    leave: () => move(join(hierarchy, own)),
    peak: async () => {
      const bytes = await number('memory.max_usage_in_bytes', /^(\d+)/);
      await writeFile(join(group, 'memory.max_usage_in_bytes'), '0');
      return bytes;
    },
    kills: () => number('memory.oom_control', /^oom_kill (\d+)/m),
    remove: () => rmdir(group),
  };
}
