/**
 * The new system’s own disk script (disko’s, or a person’s), signed with it: it overwrites disks, makes their file systems and mounts them
 * at the root folder. It is started only for exactly the disks that it says it takes, once their names were given.
 */
import { realpath, stat } from 'node:fs/promises';
import { serveBundle } from '../../bundle/binary-cache.ts';
import type { OpenedBundle } from '../../bundle/contents.ts';
import { type ReleaseTree, withoutIt } from '../../bundle/tree.ts';
import { complaintOf } from '../../core/complaint.ts';
import { ifNowhere } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { disk } from '../../core/install/hosts.ts';
import type { Need } from '../../core/room.ts';
import { unlikeSizes } from '../../core/size.ts';
import { parseStorePath, type StorePath } from '../../core/store-path.ts';
import * as z from '../../core/zod.ts';
import { importFromCache } from '../../nix/import.ts';
import { parseConfig } from '../../state/config.ts';
import type { RootMachine } from '../machine/machine.ts';
import { wholePieces } from './check-root.ts';

export interface DiskScript {
  /** The program, at its own place in the store. */
  readonly program: string;
  /** The store path that it belongs to. */
  readonly path: StorePath;
  /** Whole disks that it overwrites, below /dev. */
  readonly disks: readonly string[];
}

const listParser = z.strictObject({
  schema: z.literal(1),
  disks: z.array(disk).check(z.minLength(1), z.maxLength(16)),
});

const scriptFile = 'etc/nixmaker/disk-script';
const listFile = 'etc/nixmaker/disks.json';
/** Milliseconds. Large disks may be cleared. */
const deadline = 3_600_000;

const unusable = (detail: string) => new NixmakerError('disk-unusable', detail);

/** @returns undefined if the system has none @throws NixmakerError `disk-unusable` if its list can’t be read */
export async function findDiskScript(
  tree: ReleaseTree,
  toplevel: StorePath,
): Promise<DiskScript | undefined> {
  const script = await tree.lookUp(`${toplevel}/${scriptFile}`);
  const list = await tree.text(`${toplevel}/${listFile}`);
  if (script?.kind !== 'file' || list === undefined) return undefined;
  const { disks } = parseConfig(list, { path: listFile, schema: listParser, code: 'disk-unusable' });
  const path = parseStorePath(script.path.split('/').slice(0, 4).join('/'));
  return path === undefined ? undefined : { program: script.path, path, disks };
}

/**
 * @param named the disks as somebody has named them; undefined if nobody has yet, and nothing is to be overwritten
 * @returns with whether there is nothing on the disks: no file system, no partition
 * @throws NixmakerError `disk-unusable`; `disk-unconfirmed` if others were named than the script overwrites
 */
export async function requireDisks(
  { run }: Pick<RootMachine, 'run'>,
  script: DiskScript | undefined,
  { named, need }: { readonly named: readonly string[] | undefined; readonly need: Need },
): Promise<{ readonly script: DiskScript; readonly empty: boolean }> {
  if (script === undefined) throw unusable(`the release has no ${scriptFile} with ${listFile}`);
  const { disks } = script;
  if (named !== undefined) requireNamed(disks, named);
  let bytes = 0;
  let empty = true;
  for (const each of disks) {
    const found = await requireDisk(run, each);
    bytes += found.size ?? 0;
    empty &&= await isEmpty(run, each, found);
  }
  if (bytes < need.bytes) {
    const [needed, there] = unlikeSizes(need.bytes, bytes);
    throw unusable(
      `${needed} needed; ${disks.join(' and ')} ${disks.length === 1 ? 'has' : 'have'} ${there}`,
    );
  }
  return { script, empty };
}

function requireNamed(disks: readonly string[], named: readonly string[]): void {
  const same = new Set([...disks, ...named]).size === new Set(disks).size && named.length >= disks.length;
  if (!same)
    throw new NixmakerError(
      'disk-unconfirmed',
      `the script overwrites ${disks.join(' and ')}; named were ${named.join(' and ') || 'none'}`,
    );
}

const node: z.ZodMiniType<Node> = z.looseObject({
  mountpoints: z.optional(z.array(z.nullable(z.string()))),
  ro: z.optional(z.boolean()),
  size: z.optional(z.number()),
  fstype: z.nullish(z.string()),
  pttype: z.nullish(z.string()),
  get children() {
    return z.optional(z.array(node));
  },
});

interface Node {
  readonly mountpoints?: readonly (string | null)[] | undefined;
  readonly ro?: boolean | undefined;
  readonly size?: number | undefined;
  readonly fstype?: string | null | undefined;
  readonly pttype?: string | null | undefined;
  readonly children?: readonly Node[] | undefined;
}

/** Nothing of it may be in use. Threat: the disk’s name was given for another, such as the live system’s own. */
async function requireDisk(run: RootMachine['run'], path: string): Promise<Node> {
  const real = await realpath(path).catch(ifNowhere(undefined));
  if (real === undefined || !(await stat(real)).isBlockDevice()) throw unusable(`${path} is not a disk here`);
  const args = ['--json', '--bytes', '--output', 'NAME,RO,SIZE,FSTYPE,PTTYPE,MOUNTPOINTS', real];
  const listed = await run('lsblk', args, { timeout: 30_000 });
  if (listed.exitCode !== 0) throw unusable(`${path}: ${complaintOf(listed, 'lsblk(8) gave no reason')}`);
  const [found] = z
    .looseObject({ blockdevices: z.array(node) })
    .parse(JSON.parse(listed.stdout)).blockdevices;
  const used = mountsOf(found);
  if (used.length > 0) throw unusable(`${path} is in use: ${used.join(', ')}`);
  if (found?.ro === true) throw unusable(`${path} can’t be written to`);
  return found ?? {};
}

/**
 * lsblk knows by udev, which may not have looked since something was written; blkid looks itself, and ends with 2 if it finds nothing. What
 * can’t be told counts as something.
 */
async function isEmpty(run: RootMachine['run'], path: string, found: Node): Promise<boolean> {
  if (found.fstype !== null || found.pttype !== null || (found.children ?? []).length > 0) return false;
  const probed = await run('blkid', ['--probe', path], { timeout: 30_000 });
  return probed.exitCode === 2 && probed.stdout === '' && probed.stderrTail.length === 0;
}

const mountsOf = (found: Node | undefined): string[] => [
  ...(found?.mountpoints ?? []).flatMap((m) => m ?? []),
  ...(found?.children ?? []).flatMap(mountsOf),
];

/** Brings the script, and what it needs, into the live system’s store, and runs it. @throws NixmakerError `install-failed` */
export async function runDiskScript(
  machine: Pick<RootMachine, 'emit' | 'randomHex' | 'run'>,
  bundle: OpenedBundle,
  { program, path }: DiskScript,
): Promise<void> {
  machine.emit({ event: 'install-step', step: 'disk-script' });
  const cache = await serveBundle(bundle, {
    secret: machine.randomHex(16),
    chosen: wholePieces(bundle),
    signaturesOf: () => [],
    narOf: (base) => {
      throw withoutIt(base);
    },
  });
  try {
    await importFromCache({ run: machine.run }, { url: cache.url, paths: [path], isTrusted: true });
  } catch (error) {
    throw cache.fault() ?? error;
  } finally {
    await cache.close();
  }
  const ended = await machine.run(program, [], { timeout: deadline, cwd: '/' });
  if (ended.exitCode === 0) return;
  const said = ended.stderrTail.slice(-5).join('; ') || messageOf(ended.startError ?? 'it said nothing');
  throw new NixmakerError(
    'install-failed',
    `the disk script ${ended.timedOut ? 'did not end in time' : `ended with ${ended.exitCode ?? 'a signal'}`}: ${said}`,
  );
}
