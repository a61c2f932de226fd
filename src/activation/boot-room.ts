/**
 * Whether the boot loader will find room for a new kernel and initrd. What it has to copy follows from the names of what it has copied; if
 * that is none of the layouts known here, nobody can tell, and no bundle is kept out for it.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { realpath, stat, statfs } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ifNowhere } from '../core/errno.ts';
import { NixmakerError } from '../core/errors.ts';
import { unlikeSizes } from '../core/size.ts';
import { type StorePath, storeDir } from '../core/store-path.ts';
import { namesIn } from '../files/read.ts';

/** Bytes. Room that must be left beside them: entries, and the boot loader’s own files. */
const spareRoom = 1024 * 1024;

/** For when every kernel is already there, as on a rollback: a menu is still rewritten, each of its files beside the old one. */
const menuRoom = 64 * 1024;

/**
 * Where each of NixOS’s boot builders keeps its copies, below the boot directory: systemd-boot and lanzaboote, GRUB (install-grub.pl),
 * extlinux (extlinux-conf-builder.sh), Limine (limine-install.py).
 */
export const layouts = ['EFI/nixos', 'kernels', 'nixos', 'limine/kernels'] as const;

export interface BootRoomQuestion {
  readonly bootDirectory: string;
  readonly system: StorePath;
  /** What is running: its kernel is there, whatever its name. */
  readonly running: StorePath | undefined;
}

/**
 * @returns what a person should know if nobody can tell; otherwise undefined
 * @throws NixmakerError `no-boot-space`
 */
export async function checkBootRoom(question: BootRoomQuestion): Promise<string | undefined> {
  const free = await freeApart(question);
  return free === undefined ? undefined : requireFit(question, await toBeCopied(question), free);
}

/** Bytes missing there; 0 if it will fit, or nobody can tell. */
export async function lacksBootRoom(question: BootRoomQuestion): Promise<number> {
  const free = await freeApart(question);
  if (free === undefined) return 0;
  const { bytes, isKnown } = await toBeCopied(question);
  return isKnown ? Math.max(0, roomFor(bytes) - free) : 0;
}

const roomFor = (bytes: number) => bytes + (bytes === 0 ? menuRoom : spareRoom);

/** Bytes free where kernels are copied to; undefined if none are copied. */
async function freeApart({ bootDirectory, system }: BootRoomQuestion): Promise<number | undefined> {
  const boot = await stat(bootDirectory).catch(ifNowhere(undefined));
  if (boot === undefined || boot.dev === (await stat(system)).dev) return undefined;
  const [there, store] = await Promise.all([statfs(bootDirectory), statfs(system)]);
  // Two subvolumes of one btrfs: nothing is copied, and its room is the store’s.
  const isSame = (['type', 'bsize', 'blocks', 'bavail', 'files'] as const).every(
    (k) => there[k] === store[k],
  );
  return isSame ? undefined : there.bavail * there.bsize;
}

/** @param freeBytes on the boot partition @throws NixmakerError `no-boot-space` */
export function requireFit(
  { bootDirectory }: Pick<BootRoomQuestion, 'bootDirectory'>,
  { bytes, isKnown }: ToBeCopied,
  freeBytes: number,
): string | undefined {
  const room = roomFor(bytes);
  if (room <= freeBytes) return undefined;
  const [needed, free] = unlikeSizes(room, freeBytes);
  if (isKnown)
    throw new NixmakerError(
      'no-boot-space',
      bytes === 0
        ? `the boot menu needs space in ${bootDirectory}, which has ${free} free`
        : `${needed} needed in ${bootDirectory}, which has ${free} free`,
    );
  if (bytes === 0) return `${bootDirectory} has only ${free} free: the boot menu may not fit.`;
  return `A boot loader that copies kernels needs ${needed} in ${bootDirectory}, which has only ${free} free. nixmaker cannot tell whether this machine’s does.`;
}

interface ToBeCopied {
  readonly bytes: number;
  /** Whether the layout is one known here. */
  readonly isKnown: boolean;
}

/** @param store where store paths are, for tests */
export async function toBeCopied(
  { bootDirectory, system, running }: BootRoomQuestion,
  store: string = storeDir,
): Promise<ToBeCopied> {
  const names = new Set<string>();
  for (const layout of layouts)
    for (const name of await namesIn(join(bootDirectory, layout), 'ENOTDIR')) names.add(name);
  const isKnown = [...names].some((name) => /^[0-9a-df-np-sv-z]{32}-|^(?:kernel|initrd)-.*\.efi$/.test(name));
  let bytes = 0;
  for (const part of ['kernel', 'initrd'] as const) {
    const file = await realpath(join(system, part)).catch(ifNowhere(undefined));
    if (file === undefined) continue;
    const isThere = isKnown
      ? await hasCopy(names, copiedAs(part, file, store))
      : running !== undefined && (await realpath(join(running, part)).catch(ifNowhere(''))) === file;
    if (!isThere) bytes += (await stat(file)).size;
  }
  return { bytes, isKnown };
}

async function hasCopy(names: Iterable<string>, isCopy: IsCopy): Promise<boolean> {
  for (const name of names) if (await isCopy(name)) return true;
  return false;
}

/** Whether a file of that name is the copy. */
type IsCopy = (name: string) => Promise<boolean>;

/**
 * The names under which the builders copy a store file: the path within the store with dashes (GRUB, extlinux, Limine), or its first and
 * last part (systemd-boot, copy_from_file), with or without `.efi` at the end; lanzaboote names it by part and contents.
 */
export function copiedAs(part: 'kernel' | 'initrd', file: string, store: string): IsCopy {
  const inside = file.slice(store.length + 1).split('/');
  const dashed = new Set([
    inside.join('-'),
    `${inside[0]}-${inside.at(-1)}`,
    ...(inside.length === 1 ? inside : []),
  ]);
  let end: Promise<string> | undefined;
  return async (name) => {
    const base = basename(name);
    if (dashed.has(base) || dashed.has(base.replace(/\.efi$/, ''))) return true;
    if (!base.startsWith(`${part}-`)) return false;
    end ??= endByContents(file);
    return base.toLowerCase().endsWith(await end);
  };
}

/** lanzaboote’s: `kernel-VERSION-DIGEST.efi`, the SHA-256 of its contents in RFC 4648 base32 (rust/tool/systemd/src/install.rs). */
async function endByContents(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return `-${base32(hash.digest())}.efi`;
}

const digits = 'abcdefghijklmnopqrstuvwxyz234567';

function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? [])
    .map((five) => digits[Number.parseInt(five.padEnd(5, '0'), 2)])
    .join('');
}
