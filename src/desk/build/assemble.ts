/** From the narinfos of a binary cache folder to the members of one host’s bundle, and its manifest. */
import { join } from 'node:path';
import { cacheInfo } from '../../bundle/contents.ts';
import { memberOf, type SourcedMember } from '../../bundle/write.ts';
import {
  type Content,
  encodeManifest,
  type Manifest,
  type ManifestInput,
  metaText,
} from '../../core/bundle/manifest.ts';
import { type Narinfo, plainNarinfo, renderNarinfo } from '../../core/bundle/narinfo.ts';
import { NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { limits } from '../../core/limits.ts';
import { decodeNix32 } from '../../core/nix32.ts';
import { hashPart, type StorePath, toBaseName } from '../../core/store-path.ts';
import { readManifest } from '../../signing/verify.ts';
import type { MadeDelta } from './deltas.ts';

export interface BundleIdentity {
  readonly host: string;
  readonly system: string;
  readonly createdAt: string;
  readonly expiresAt?: string;
  readonly machineId?: string;
  readonly downgradeFrom?: number;
  readonly content: Content;
  readonly derivation: Manifest['derivation'];
  readonly toplevel: StorePath;
  readonly notes?: string;
  readonly flake?: NonNullable<ManifestInput['flake']>;
}

/** As manifests spell a time. @param epoch seconds since 1970 */
export const timestampOf = (epoch: number): string =>
  new Date(epoch * 1000).toISOString().replace(/\.\d+Z$/, 'Z');

export interface Assembled {
  /** Everything of the manifest but the sequence. */
  readonly input: Omit<ManifestInput, 'sequence'>;
  readonly members: readonly SourcedMember[];
}

/** What a target has already: the system, and all its paths. */
export interface Base {
  readonly toplevel: StorePath;
  readonly paths: ReadonlySet<StorePath>;
}

/**
 * The members in the order of docs/format.md §1, and what the manifest says of them. With a base, what the target has is
 * left out, and what it has a predecessor of may be a delta.
 */
export function assemble(
  identity: BundleIdentity,
  narinfos: readonly Narinfo[],
  {
    folder,
    base,
    deltas = new Map(),
  }: { folder: string; base: Base | undefined; deltas?: ReadonlyMap<StorePath, MadeDelta> },
): Assembled {
  const carried = narinfos.filter((info) => base?.paths.has(info.path) !== true);
  const made = [...deltas.values()];
  const members = [
    fromText('meta', metaText(identity)),
    fromText('nix-cache-info', cacheInfo),
    ...carried.map((info) =>
      fromText(
        `${hashPart(info.path)}.narinfo`,
        renderNarinfo(deltas.has(info.path) ? plainNarinfo(info, info.signatures) : info),
      ),
    ),
    ...contentsOf(carried, folder, deltas),
  ];
  return {
    members,
    input: {
      ...identity,
      schema: 1,
      base: base === undefined ? [] : [base.toplevel],
      ...given({ deltas: made.length === 0 ? undefined : made.map(({ delta }) => delta).sort(byPath) }),
      paths: narinfos.map(({ path, narHash, narSize, references, ca }) => ({
        path,
        narHash,
        narSize,
        references: references.map(toBaseName),
        ...given({ ca }),
      })),
      members: members.map(({ member }) => member),
    },
  };
}

/**
 * The manifest's bytes, read back as a target would read them: nothing is written that would be refused.
 * @throws NixmakerError `bundle-too-large`, `manifest-malformed`
 */
export function encodeCheckedManifest(input: ManifestInput): Buffer {
  const bytes = Buffer.from(encodeManifest(input));
  if (bytes.length > limits.manifestBytes) {
    throw new NixmakerError(
      'bundle-too-large',
      `its manifest would have ${bytes.length} bytes, at most ${limits.manifestBytes} are read`,
    );
  }
  readManifest(bytes);
  return bytes;
}

/** NARs and deltas, sorted by name; paths can share a NAR. */
function contentsOf(
  carried: readonly Narinfo[],
  folder: string,
  deltas: ReadonlyMap<StorePath, MadeDelta>,
): SourcedMember[] {
  const nars = carried
    .filter((info) => !deltas.has(info.path))
    .map((info) => [info.url, fromNar(info, folder)] as const);
  const made = [...deltas.values()].map(({ member }) => [member.member.name, member] as const);
  const contents = new Map([...made, ...nars]);
  return [...contents.values()].sort((a, b) => (a.member.name < b.member.name ? -1 : 1));
}

function fromText(name: string, text: string): SourcedMember {
  const source = Buffer.from(text);
  return { member: memberOf(name, source), source };
}

const byPath = (a: { readonly path: string }, b: { readonly path: string }) => (a.path < b.path ? -1 : 1);

/** The digest is the one Nix took when it wrote the file; copying checks it. */
function fromNar(info: Narinfo, folder: string): SourcedMember {
  const digest = decodeNix32(info.fileHash.replace(/^sha256:/, ''), 32);
  if (digest === undefined)
    throw new NixmakerError('nix-failed', `Nix wrote a file hash that is none: ${info.fileHash}`);
  const member = { name: info.url, size: info.fileSize, sha256: Buffer.from(digest).toString('hex') };
  return { member, source: { path: join(folder, info.url) } };
}
