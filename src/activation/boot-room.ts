/**
 * Whether the boot loader will find room for a new kernel and initrd. What it has to copy is told by how it names what it has copied; where
 * that is none of the layouts known here nobody can tell, and a bundle is not kept out for it.
 */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { realpath, stat, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { insteadOf } from '../core/errno.ts';
import { NixmakerError } from '../core/errors.ts';
import { unlikeSizes } from '../core/size.ts';
import { type StorePath, storeDir } from '../core/store-path.ts';
import { namesIn } from '../files/read.ts';

const ifMissing = <T>(value: T) => insteadOf(['ENOENT', 'ENOTDIR', 'ELOOP'], value);

/** Room that must stay beside them: entries, and the boot loader’s own files. Bytes. */
const spareRoom = 1024 * 1024;

/** Where every kernel is there already, as on the way back: a menu is still written anew, each of its files beside the old one. */
const menuRoom = 64 * 1024;

/**
 * Where each loader’s builder of NixOS keeps what it copies, below the boot directory: systemd-boot and lanzaboote, GRUB
 * (install-grub.pl), extlinux (extlinux-conf-builder.sh), Limine (limine-install.py).
 */
const layouts = ['EFI/nixos', 'kernels', 'nixos', 'limine/kernels'] as const;

export interface BootRoomQuestion {
  readonly bootDirectory: string;
  readonly system: StorePath;
  /** What runs: its kernel is there, however it is named. */
  readonly running: StorePath | undefined;
}

/**
 * @returns what a person should know where nobody can tell; otherwise undefined
 * @throws NixmakerError `no-boot-space`
 */
export async function checkBootRoom(question: BootRoomQuestion): Promise<string | undefined> {
  const { bootDirectory, system } = question;
  const boot = await stat(bootDirectory).catch(ifMissing(undefined));
  if (boot === undefined || boot.dev === (await stat(system)).dev) return undefined;
  const [there, store] = await Promise.all([statfs(bootDirectory), statfs(system)]);
  // Two subvolumes of one btrfs: nothing is copied, and its room is the store’s.
  const isSame = (['type', 'bsize', 'blocks', 'bavail', 'files'] as const).every(
    (k) => there[k] === store[k],
  );
  if (isSame) return undefined;
  return requireFit(question, await toBeCopied(question), there.bavail * there.bsize);
}

/** @param freeBytes of the boot partition @throws NixmakerError `no-boot-space` */
export function requireFit(
  { bootDirectory }: Pick<BootRoomQuestion, 'bootDirectory'>,
  { bytes, isKnown }: ToBeCopied,
  freeBytes: number,
): string | undefined {
  const room = bytes + (bytes === 0 ? menuRoom : spareRoom);
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
  /** Whether the layout is one that is known here. */
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
  for (const part of ['kernel', 'initrd']) {
    const file = await realpath(join(system, part)).catch(ifMissing(undefined));
    if (file === undefined) continue;
    const name = file.slice(store.length + 1).replaceAll('/', '-');
    const isThere = isKnown
      ? names.has(name) || names.has(`${name}.efi`) || (await hasByContents(names, part, file))
      : running !== undefined && (await realpath(join(running, part)).catch(ifMissing(''))) === file;
    if (!isThere) bytes += (await stat(file)).size;
  }
  return { bytes, isKnown };
}

/** lanzaboote’s: `kernel-VERSION-DIGEST.efi`, the SHA-256 of what is in it in base32 of RFC 4648 (rust/tool/systemd/src/install.rs). */
async function hasByContents(names: ReadonlySet<string>, part: string, file: string): Promise<boolean> {
  const candidates = [...names].filter((name) => name.startsWith(`${part}-`));
  if (candidates.length === 0) return false;
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  const end = `-${base32(hash.digest())}.efi`;
  return candidates.some((name) => name.toLowerCase().endsWith(end));
}

const digits = 'abcdefghijklmnopqrstuvwxyz234567';

function base32(bytes: Buffer): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  return (bits.match(/.{1,5}/g) ?? [])
    .map((five) => digits[Number.parseInt(five.padEnd(5, '0'), 2)])
    .join('');
}
