/**
 * A pool: the same parts as in a bundle, but in a folder, so that many hosts share what they have in common
 * (docs/format.md §5). `nixmaker/cache/` is an ordinary Nix binary cache; `nixmaker/hosts/<host>/<sequence>/` holds one
 * host's signed manifest. It is read where it lies. Whatever a name leads to, only bytes with the signed digest count.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { formatOf, type Manifest, type Member } from '../core/bundle/manifest.ts';
import { glanceBytes } from '../core/bundle/manifest-glance.ts';
import { poolFolder } from '../core/bundle/pool-folder.ts';
import { insteadOf } from '../core/errno.ts';
import { NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { isHostName } from '../core/schema.ts';
import { isFolder } from '../files/read.ts';
import { type MemberReader, type OpenedBundle, openContents } from './contents.ts';
import { readBeginning } from './file.ts';
import { readSignatureFile } from './head-files.ts';
import { openParts, type Parts, sizeOfParts } from './parts.ts';

export const cacheOf = (root: string) => join(root, poolFolder, 'cache');
export const hostsOf = (root: string) => join(root, poolFolder, 'hosts');
export const keyringsOf = (root: string) => join(root, poolFolder, 'keyrings');

export interface PoolEntry {
  readonly host: string;
  readonly sequence: number;
  /** Of manifest, signatures and meta. */
  readonly folder: string;
}

/** Threat: a medium with a million of anything. */
const mostEntries = 10_000;

/** What a pool holds for the hosts, the highest sequence of each first; nothing where there is no pool. */
export async function listPool(root: string, only?: string): Promise<PoolEntry[]> {
  const hosts = only === undefined ? await foldersIn(hostsOf(root)) : [only];
  const entries: PoolEntry[] = [];
  for (const host of hosts.filter(isHostName)) {
    for (const name of await foldersIn(join(hostsOf(root), host))) {
      const sequence = /^[1-9][0-9]{0,15}$/.test(name) ? Number(name) : 0;
      if (sequence === 0 || !Number.isSafeInteger(sequence)) continue;
      entries.push({ host, sequence, folder: join(hostsOf(root), host, name) });
    }
  }
  return entries.sort((a, b) => (a.host === b.host ? b.sequence - a.sequence : a.host < b.host ? -1 : 1));
}

async function foldersIn(folder: string): Promise<string[]> {
  const reading = readdir(folder, { withFileTypes: true });
  const entries = await reading.catch(insteadOf(['ENOENT', 'ENOTDIR'], []));
  // Names that begin with a dot are unfinished work, ours or a carrier's.
  return entries
    .flatMap((e) => (e.isDirectory() && !e.name.startsWith('.') ? [e.name] : []))
    .slice(0, mostEntries);
}

/** The beginning of an entry’s manifest, and its signatures; undefined where either is not there (yet). */
export async function glanceAtPoolHead(
  folder: string,
): Promise<{ beginning: string; signatureBytes: Buffer } | undefined> {
  const beginning = await readBeginning(join(folder, 'manifest.json'), {
    bytes: glanceBytes,
    most: limits.manifestBytes,
  });
  const signatureBytes = await readSignatureFile(folder);
  return beginning === undefined || signatureBytes === undefined
    ? undefined
    : { beginning: beginning.toString('utf8'), signatureBytes };
}

/** @throws NixmakerError `bundle-malformed` where manifest and place do not agree: a folder given another name */
export function requirePlace(folder: string, manifest: Manifest): void {
  if (formatOf(manifest) !== 'bundle')
    throw new NixmakerError('bundle-malformed', 'the manifest is that of a classic tarball');
  if (basename(folder) === String(manifest.sequence) && basename(dirname(folder)) === manifest.host) return;
  throw new NixmakerError(
    'bundle-malformed',
    `the manifest is of ${manifest.host}, sequence ${manifest.sequence}, and lies in another place`,
  );
}

const rootOf = (folder: string) => join(folder, '..', '..', '..', '..');

/**
 * Where a member lies. A narinfo that another bundle in the pool has with other bytes (another signer's) lies beside
 * the manifest; NARs are named by their digest and can't differ.
 */
export function placeOf(folder: string, { name }: Member, beside: ReadonlySet<string>): string {
  return name === 'meta' || beside.has(name) ? join(folder, name) : join(cacheOf(rootOf(folder)), name);
}

/** Narinfos that lie beside a manifest. */
export async function listBeside(folder: string): Promise<Set<string>> {
  return new Set((await readdir(folder)).filter((name) => name.endsWith('.narinfo')));
}

/** Bytes of the members that are there by now, none counted beyond its signed size: a carrier may still be at work. */
export async function presentInPool(folder: string, manifest: Manifest): Promise<number> {
  const beside = await listBeside(folder);
  let present = 0;
  for (const member of manifest.members) {
    const size = (await sizeOfParts(placeOf(folder, member, beside))) ?? 0;
    present += Math.min(size, member.size);
  }
  return present;
}

export interface OpenedPool extends OpenedBundle {
  close(): Promise<void>;
}

/**
 * @param wrap what reading goes through: patience with a medium that may stall
 * @throws NixmakerError as `openContents`; `bundle-truncated` where a member is not there
 */
export async function openPool(
  folder: string,
  manifest: Manifest,
  wrap: (reader: MemberReader) => MemberReader = (reader) => reader,
): Promise<OpenedPool> {
  const reader = new PoolReader(folder);
  return { ...(await openContents(wrap(reader), manifest)), close: () => reader.close() };
}

/** Opens each member once and keeps it open for as long as it is being read: what is read can't be swapped by name. */
class PoolReader implements MemberReader {
  readonly #folder: string;
  /** Asked for with the first read, so that it is as patient as all reading. */
  #beside: Promise<ReadonlySet<string>> | undefined;
  readonly #open = new Map<string, Promise<Parts>>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  async readInto(member: Member, buffer: Buffer, position: number): Promise<number> {
    const opening = this.#open.get(member.name) ?? this.#openMember(member);
    const parts = await opening;
    const got = await parts.readInto(buffer, position);
    // Thousands of members: a file stays open only while it is being read.
    if (position + got >= member.size || got < buffer.length) await this.#closeMember(member.name, opening);
    return got;
  }

  #openMember(member: Member): Promise<Parts> {
    this.#beside ??= listBeside(this.#folder);
    const opening = this.#beside
      .then((beside) => openParts(placeOf(this.#folder, member, beside)))
      .then((parts) => {
        if (parts === undefined) throw new NixmakerError('bundle-truncated', `${member.name} is not there`);
        return parts;
      });
    this.#open.set(member.name, opening);
    opening.catch(() => this.#open.delete(member.name));
    return opening;
  }

  async #closeMember(name: string, opened: Promise<Parts>): Promise<void> {
    if (this.#open.get(name) === opened) this.#open.delete(name);
    await (await opened).close();
  }

  async close(): Promise<void> {
    const all = [...this.#open.values()];
    this.#open.clear();
    for (const opened of await Promise.allSettled(all))
      if (opened.status === 'fulfilled') await opened.value.close();
  }
}

/** Whether there is anything of ours at the root of a medium. */
export const hasPool = (root: string): Promise<boolean> => isFolder(join(root, poolFolder));
