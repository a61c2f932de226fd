/**
 * A pool: the parts of many bundles in one folder, so that hosts share what they have in common (docs/format.md §5).
 * `nixmaker/hosts/<host>/<sequence>/` holds one host’s signed manifest and how its release is stored on this medium, `nixmaker/cache/`
 * holds indexes and pieces. It is read in place. Whatever a name leads to, only what was signed counts.
 */
import type { Dirent } from 'node:fs';
import { lstat, readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { naturally } from '../core/alike.ts';
import { poolFolder } from '../core/bundle/pool-folder.ts';
import { ifMissing, ifNowhere } from '../core/errno.ts';
import { NixmakerError } from '../core/errors.ts';
import { hostsFile } from '../core/install/hosts.ts';
import { encodeNix32 } from '../core/nix32.ts';
import { mostContentsBytes, type Piece, pieceName } from '../core/release/contents-file.ts';
import type { ReleaseIndex } from '../core/release/index-file.ts';
import { formatOf, type Manifest } from '../core/release/manifest.ts';
import { NixSignatures } from '../core/release/nix-signatures.ts';
import { mostPartsBytes, type PartsHint, parseParts } from '../core/release/parts.ts';
import { isHostName } from '../core/schema.ts';
import { arrivedText } from '../core/size.ts';
import { isForeignFolder, withForeign } from '../files/foreign.ts';
import { fewAhead } from './at-once.ts';
import type { OpenedBundle, PieceReader } from './contents.ts';
import { readSmall } from './file.ts';
import type { Authentic } from './layout.ts';
import { distinctPieces } from './members.ts';
import { openParts, type Parts, sizeOfParts } from './parts.ts';
import { type Release, readIndex, withUnsigned } from './release.ts';

/** What is in an entry’s folder. */
export const entryFiles = ['manifest.json', 'manifest.sig', 'contents', 'meta'] as const;

/** Also there if the medium is one of several (core/release/parts.ts). */
export const partsName = 'parts.json';

/** Also there if it was asked for (`put --sbom`): for people and their tools. No target reads it. */
export const sbomName = 'sbom.cdx.json';

/** For what gets its name once complete. */
export const draftOf = (name: string): string => `.${name}.part`;

/** Below `cache/`: the index of a manifest, and Nix’s signatures for it. */
export const indexName = ({ index }: Pick<Manifest, 'index'>): string =>
  `index/${encodeNix32(Buffer.from(index.sha256, 'hex'))}`;
export const nixSignaturesName = (manifest: Pick<Manifest, 'index'>): string => `${indexName(manifest)}.sig`;

export const cacheOf = (root: string) => join(root, poolFolder, 'cache');
export const hostsOf = (root: string) => join(root, poolFolder, 'hosts');
/** Held by whoever is writing into the pool (files/turn.ts). */
export const lockOf = (root: string) => join(root, poolFolder, '.lock');
export const hostsTableOf = (root: string) => join(root, poolFolder, hostsFile);
export const keyringsOf = (root: string) => join(root, poolFolder, 'keyrings');

export interface PoolEntry {
  readonly host: string;
  readonly sequence: number;
  /** Of manifest, signatures, contents and meta. */
  readonly folder: string;
}

/** Names in a listing. Threat: a medium with a million of anything. */
export const mostEntries = 10_000;

/** Names of hosts that have a folder. */
export const hostFolders = async (root: string): Promise<string[]> =>
  (await foldersIn(hostsOf(root))).filter(isHostName);

/**
 * What a pool holds for the hosts, each host’s highest sequence first; nothing if there is no pool.
 * @param onFault is given the system’s error for an unreadable folder, which hides none of the others. Without it, it is thrown
 */
export async function listPool(
  root: string,
  only?: string,
  onFault?: (folder: string, error: unknown) => void,
): Promise<PoolEntry[]> {
  const list = (folder: string) =>
    foldersIn(folder).catch((error: unknown) => {
      if (onFault === undefined) throw error;
      onFault(folder, error);
      return [];
    });
  const hosts = only === undefined ? await list(hostsOf(root)) : [only];
  const entries: PoolEntry[] = [];
  const listed = async (host: string) => ({ host, names: await list(join(hostsOf(root), host)) });
  for await (const { host, names } of fewAhead(hosts.filter(isHostName), listed)) {
    for (const sequence of sequencesAmong(names))
      entries.push({ host, sequence, folder: join(hostsOf(root), host, String(sequence)) });
  }
  return entries.sort((a, b) => naturally(a.host, b.host) || b.sequence - a.sequence);
}

async function foldersIn(folder: string): Promise<string[]> {
  const reading = withForeign(folder, ({ path }) => readdir(path, { withFileTypes: true }));
  return foldersAmong(await reading.catch(ifNowhere([])));
}

/** Names that begin with a dot are unfinished work, ours or a carrier’s. */
export const foldersAmong = (entries: readonly Dirent[]): string[] =>
  entries.flatMap((e) => (e.isDirectory() && !e.name.startsWith('.') ? [e.name] : [])).slice(0, mostEntries);

/** The highest first. */
export const sequencesAmong = (names: readonly string[]): number[] =>
  names
    .flatMap((name) => (/^[1-9][0-9]{0,15}$/.test(name) ? [Number(name)] : []))
    .filter(Number.isSafeInteger)
    .sort((a, b) => b - a);

/** @throws NixmakerError `bundle-malformed` if manifest and location disagree: a renamed folder */
export const requirePlace = (folder: string, manifest: Manifest): void =>
  requireOwnPlace(manifest, { host: basename(dirname(folder)), sequence: basename(folder) });

/** The same, by the names of the folders. */
export function requireOwnPlace(
  manifest: Manifest,
  { host, sequence }: { readonly host: string; readonly sequence: string },
): void {
  if (formatOf(manifest) !== 'bundle')
    throw new NixmakerError('bundle-malformed', 'this is the manifest of a classic tarball');
  if (sequence === String(manifest.sequence) && host === manifest.host) return;
  throw new NixmakerError(
    'bundle-malformed',
    `the manifest is for ${manifest.host}, sequence ${manifest.sequence}, but lies in another host’s or sequence’s folder`,
  );
}

const cacheOfEntry = (folder: string) => cacheOf(join(folder, '..', '..', '..', '..'));

/**
 * An entry’s release.
 * @throws NixmakerError `bundle-truncated` if part of it is missing (so far), `bundle-altered`, `bundle-malformed`
 */
export async function readPoolRelease(folder: string, authentic: Authentic): Promise<Release> {
  const { manifest, digest } = authentic;
  const cache = cacheOfEntry(folder);
  const bytes = await readSmall(join(cache, indexName(manifest)), manifest.index.size);
  if (bytes === undefined) throw new NixmakerError('bundle-truncated', 'its index is missing');
  if (bytes.length < manifest.index.size)
    throw new NixmakerError(
      'bundle-truncated',
      `of its index, ${arrivedText(bytes.length, manifest.index.size)}`,
    );
  const index = readIndex(bytes, manifest);
  // As in a bundle: no more than what was signed can need.
  const contents = await readSmall(join(folder, 'contents'), mostContentsBytes(index));
  if (contents === undefined) throw new NixmakerError('bundle-truncated', 'its contents list is missing');
  const nixSignatures = await readSmall(join(cache, nixSignaturesName(manifest)), NixSignatures.most(index));
  return withUnsigned(
    { manifest, digest, index },
    { contents, nixSignatures: nixSignatures ?? Buffer.alloc(0) },
  );
}

/** What `parts.json` says of the medium, if it is one of several. */
export async function readPoolParts(
  folder: string,
  { index, digest }: { readonly index: ReleaseIndex; readonly digest: string },
): Promise<PartsHint | undefined> {
  const bytes = await readSmall(join(folder, partsName), mostPartsBytes(index));
  return bytes === undefined ? undefined : parseParts(bytes, { manifestDigest: digest, index });
}

export interface Measured {
  /** Bytes present, never counting a file beyond its announced size: a carrier may still be at work. */
  readonly present: number;
  /** Bytes of all pieces. */
  readonly expected: number;
}

export async function measurePool(folder: string, release: Pick<Release, 'pieces'>): Promise<Measured> {
  let [present, expected] = [0, 0];
  for (const piece of distinctPieces(release)) {
    const size = (await sizeOfParts(join(cacheOfEntry(folder), pieceName(piece)))) ?? 0;
    present += Math.min(size, piece.size);
    expected += piece.size;
  }
  return { present, expected };
}

export interface OpenedPool extends OpenedBundle {
  close(): Promise<void>;
}

/** @param wrap wraps all reads: patience with a medium that may stall */
export function openPool(
  folder: string,
  release: Release,
  wrap: (reader: PieceReader) => PieceReader = (reader) => reader,
): OpenedPool {
  const reader = new PoolReader(cacheOfEntry(folder));
  return { ...release, reader: wrap(reader), close: () => reader.close() };
}

/** Opens each piece once and keeps it open while it is read, so it can't be swapped by name. */
class PoolReader implements PieceReader {
  readonly #cache: string;
  readonly #open = new Map<string, Promise<Parts>>();

  constructor(cache: string) {
    this.#cache = cache;
  }

  async readInto(piece: Piece, buffer: Buffer, position: number): Promise<number> {
    const name = pieceName(piece);
    const opening = this.#open.get(name) ?? this.#openPiece(name);
    const parts = await opening;
    const got = await parts.readInto(buffer, position);
    // There are thousands of pieces: a file stays open only while it is read.
    if (position + got >= piece.size || got < buffer.length) await this.#closePiece(name, opening);
    return got;
  }

  #openPiece(name: string): Promise<Parts> {
    const opening = openParts(join(this.#cache, name)).then((parts) => {
      if (parts === undefined) throw new NixmakerError('bundle-truncated', `${name} is missing`);
      return parts;
    });
    this.#open.set(name, opening);
    opening.catch(() => this.#open.delete(name));
    return opening;
  }

  async #closePiece(name: string, opened: Promise<Parts>): Promise<void> {
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

/** Whether anything at the root of a medium is ours. */
export const hasPool = (root: string): Promise<boolean> => isForeignFolder(join(root, poolFolder));

/**
 * Whether a folder at the root is a pool under another name that holds something for this host. Not the pool itself, which a file
 * system that ignores case may report too (FAT).
 */
export async function isOtherPool(root: string, folder: string, host: string): Promise<boolean> {
  if (!(await isForeignFolder(join(folder, 'hosts', host)))) return false;
  const [pool, other] = await Promise.all(
    [join(root, poolFolder), folder].map((path) => lstat(path).catch(ifMissing(undefined))),
  );
  return pool?.ino !== other?.ino;
}
