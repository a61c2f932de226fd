/** Which file systems somebody has plugged in, according to lsblk(8). Never those of a disk that is built in. */
import { join } from 'node:path';
import type { ProcessRunner } from '../core/ports.ts';
import * as z from '../core/zod.ts';
import { readIfThere } from '../files/read.ts';

export interface Plugged {
  /** Below /dev. */
  readonly name: string;
  readonly fileSystem: string;
  readonly label: string;
}

interface Node {
  readonly kname: string;
  readonly fstype?: string | null | undefined;
  readonly label?: string | null | undefined;
  readonly hotplug?: boolean | undefined;
  readonly mountpoints?: readonly (string | null)[] | undefined;
  readonly children?: readonly Node[] | undefined;
}

const node: z.ZodMiniType<Node> = z.looseObject({
  kname: z.string(),
  fstype: z.nullish(z.string()),
  label: z.nullish(z.string()),
  hotplug: z.optional(z.boolean()),
  mountpoints: z.optional(z.array(z.nullable(z.string()))),
  get children() {
    return z.optional(z.array(node));
  },
});
const table = z.looseObject({ blockdevices: z.array(node) });

/**
 * As udev’s rule has it (systemd/udev), what is on USB, in a card reader, or removable counts as plugged in (lsblk(8), HOTPLUG).
 * @param sys sysfs(5)
 * @returns what is mounted nowhere, in lsblk’s order; nothing if lsblk can’t tell
 */
export async function listPlugged(run: ProcessRunner, sys = '/sys'): Promise<Plugged[]> {
  const columns = 'KNAME,FSTYPE,LABEL,HOTPLUG,MOUNTPOINTS';
  const listed = await run('lsblk', ['--json', '--output', columns], { timeout: 30_000 });
  if (listed.exitCode !== 0) return [];
  const all = table.parse(JSON.parse(listed.stdout)).blockdevices.flatMap(fileSystemsOf);
  const found: Plugged[] = [];
  for (const each of all) if (!(await isSoldered(sys, each.name))) found.push(each);
  return found;
}

/** To lsblk, whatever is on an MMC bus can be plugged in. One that is not a card has the type MMC. */
async function isSoldered(sys: string, name: string): Promise<boolean> {
  const disk = /^mmcblk[0-9]+/.exec(name)?.[0];
  if (disk === undefined) return false;
  const type = await readIfThere(join(sys, 'class/block', disk, 'device/type'));
  return type?.trim() !== 'SD';
}

function fileSystemsOf(found: Node): Plugged[] {
  const { kname: name, fstype, label, children = [] } = found;
  const below = children.flatMap(fileSystemsOf);
  if (found.hotplug !== true || typeof fstype !== 'string' || isUsed(found) || !/^[\w.-]{1,64}$/.test(name))
    return below;
  return [{ name, fileSystem: fstype, label: label ?? '' }, ...below];
}

const isUsed = ({ mountpoints = [], children = [] }: Node): boolean =>
  mountpoints.some((m) => m !== null) || children.some(isUsed);
