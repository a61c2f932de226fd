/** Which file systems somebody has plugged in, according to lsblk(8). Never those of a disk that is built in. */
import * as z from 'zod';
import type { ProcessRunner } from '../core/ports.ts';

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

const node: z.ZodType<Node> = z.looseObject({
  kname: z.string(),
  fstype: z.string().nullish(),
  label: z.string().nullish(),
  hotplug: z.boolean().optional(),
  mountpoints: z.array(z.string().nullable()).optional(),
  get children() {
    return z.array(node).optional();
  },
});
const table = z.looseObject({ blockdevices: z.array(node) });

/**
 * @returns what is mounted nowhere, in lsblk’s order; nothing if lsblk can’t tell. As udev’s rule has it (systemd/udev), what is on USB, in
 * a card reader, or removable counts as plugged in (lsblk(8), HOTPLUG).
 */
export async function listPlugged(run: ProcessRunner): Promise<Plugged[]> {
  const columns = 'KNAME,FSTYPE,LABEL,HOTPLUG,MOUNTPOINTS';
  const listed = await run('lsblk', ['--json', '--output', columns], { timeout: 30_000 });
  if (listed.exitCode !== 0) return [];
  return table.parse(JSON.parse(listed.stdout)).blockdevices.flatMap(fileSystemsOf);
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
