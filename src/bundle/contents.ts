/** The members' contents: read whole (small ones), checked (all), streamed (NARs). Each byte's digest is checked. */
import { createHash } from 'node:crypto';
import { type Delta, isContents, type Manifest, type Member, metaText } from '../core/bundle/manifest.ts';
import { type Narinfo, parseNarinfo, plainNarinfo } from '../core/bundle/narinfo.ts';
import { NixmakerError } from '../core/errors.ts';
import { encodeNix32 } from '../core/nix32.ts';
import { hashPart, type StorePath, toBaseName } from '../core/store-path.ts';

/** Bytes read at a time; memory in use is a small multiple of this whatever the bundle's size. */
const chunkSize = 256 * 1024;

export const cacheInfo = 'StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n';

/** Where members’ bytes come from: one tar file, or a pool on a medium. Nothing it gives is believed unchecked. */
export interface MemberReader {
  /** Fills `buffer` from the member’s byte `position` on; how many bytes there were. */
  readInto(member: Member, buffer: Buffer, position: number): Promise<number>;
}

/** A bundle whose manifest fits its layout and whose narinfos fit its manifest. */
export interface OpenedBundle {
  readonly reader: MemberReader;
  readonly manifest: Manifest;
  readonly members: ReadonlyMap<string, Member>;
  readonly narinfos: ReadonlyMap<string, Narinfo>;
  /** By the path that is restored. */
  readonly deltas: ReadonlyMap<StorePath, Delta>;
}

/**
 * Reads and checks all small members: meta, nix-cache-info and the narinfos.
 * @throws NixmakerError `bundle-altered`, `bundle-malformed`, `closure-incomplete`
 */
export async function openContents(reader: MemberReader, manifest: Manifest): Promise<OpenedBundle> {
  const members = new Map(manifest.members.map((m) => [m.name, m]));
  const deltas = new Map((manifest.deltas ?? []).map((d) => [d.path, d]));
  const bundle = { reader, manifest, members, deltas, narinfos: new Map<string, Narinfo>() };
  const small = manifest.members.filter((m) => !isContents(m.name));
  for (const member of small) {
    const text = (await readMember(bundle, member)).toString('utf8');
    if (member.name === 'meta') expect(text === metaText(manifest), 'meta is not what the manifest says');
    else if (member.name === 'nix-cache-info')
      expect(text === cacheInfo, 'nix-cache-info is not the usual one');
    else bundle.narinfos.set(member.name, parseNarinfo(text));
  }
  checkNarinfos(bundle);
  return bundle;
}

/** Every path of the manifest has a narinfo that says the same, and its contents; or a base is relied on for it. */
function checkNarinfos({ manifest, narinfos, members, deltas }: OpenedBundle): void {
  const served = new Set<string>();
  for (const info of manifest.paths) {
    const name = `${hashPart(info.path)}.narinfo`;
    const narinfo = narinfos.get(name);
    const delta = deltas.get(info.path);
    if (narinfo === undefined && delta === undefined && manifest.base.length > 0) continue;
    expect(narinfo !== undefined && agrees(narinfo, info), `${name} does not agree with the manifest`);
    const nar = members.get(delta?.member ?? narinfo.url);
    if (nar === undefined) {
      if (manifest.base.length > 0) continue;
      throw new NixmakerError('closure-incomplete', `the contents of ${info.path} are missing`);
    }
    const hash = encodeNix32(Buffer.from(nar.sha256, 'hex'));
    const due =
      delta === undefined
        ? { url: `nar/${hash}.nar.zst`, compression: 'zstd', fileHash: `sha256:${hash}`, fileSize: nar.size }
        : plainNarinfo(info);
    const consistent =
      narinfo.compression === due.compression &&
      narinfo.url === due.url &&
      narinfo.fileHash === due.fileHash &&
      narinfo.fileSize === due.fileSize &&
      (delta === undefined || nar.name === `delta/${hash}.zst`);
    expect(consistent, `${name} does not agree with its contents`);
    served.add(nar.name);
  }
  const spare = [...members.keys()].find((n) => isContents(n) && !served.has(n));
  expect(spare === undefined, `${spare} belongs to no path`);
}

/** Paths of which the bundle holds nothing: the target is thought to have them. */
export const pathsLeftOut = ({ manifest, narinfos, members, deltas }: OpenedBundle): StorePath[] =>
  manifest.paths.flatMap(({ path }) => {
    const url = narinfos.get(`${hashPart(path)}.narinfo`)?.url;
    return deltas.has(path) || (url !== undefined && members.has(url)) ? [] : [path];
  });

function agrees(narinfo: Narinfo, info: Manifest['paths'][number]): boolean {
  return (
    narinfo.path === info.path &&
    narinfo.narHash === info.narHash &&
    narinfo.narSize === info.narSize &&
    narinfo.deriver === info.deriver &&
    narinfo.ca === info.ca &&
    sameReferences(narinfo.references, info.references)
  );
}

function sameReferences(a: readonly StorePath[], b: readonly StorePath[]): boolean {
  return a.map(toBaseName).join(' ') === b.map(toBaseName).join(' ');
}

function expect(condition: boolean, detail: string): asserts condition {
  if (!condition) throw new NixmakerError('bundle-malformed', detail);
}

/**
 * @param into as long as the member
 * @throws NixmakerError `bundle-altered`, `bundle-truncated`
 */
export async function readMember(
  { reader }: Pick<OpenedBundle, 'reader'>,
  member: Member,
  into: Buffer = Buffer.allocUnsafe(member.size),
): Promise<Buffer> {
  if ((await reader.readInto(member, into, 0)) < member.size) throw truncated(member);
  if (createHash('sha256').update(into).digest('hex') !== member.sha256) throw altered(member);
  return into;
}

/**
 * Yields a member's contents, and the last chunk only once the digest of the whole is right: whoever reads to the
 * end has read what was signed. The buffers are not reused, for they may still be on their way into a socket.
 * @throws NixmakerError `bundle-altered`, `bundle-truncated`, `io-error`
 */
export async function* streamMember(
  { reader }: Pick<OpenedBundle, 'reader'>,
  member: Member,
): AsyncGenerator<Buffer, void, void> {
  const hash = createHash('sha256');
  let held: Buffer | undefined;
  for (let done = 0; done < member.size; ) {
    const chunk = Buffer.allocUnsafe(Math.min(chunkSize, member.size - done));
    if ((await reader.readInto(member, chunk, done)) < chunk.length) throw truncated(member);
    hash.update(chunk);
    done += chunk.length;
    if (held !== undefined) yield held;
    held = chunk;
  }
  if (hash.digest('hex') !== member.sha256) throw altered(member);
  if (held !== undefined) yield held;
}

/**
 * Reads all NARs once and checks their digests, so that nothing at all is imported from a bundle that is altered
 * anywhere. They are checked again while they stream to Nix: the file may be changed in between.
 */
export async function checkAllNars(bundle: OpenedBundle, onBytes?: (bytes: number) => void): Promise<void> {
  const buffer = Buffer.alloc(chunkSize);
  for (const member of bundle.manifest.members) {
    if (!isContents(member.name)) continue;
    if ((await sha256Of(bundle.reader, member, { buffer, onBytes })) !== member.sha256) throw altered(member);
  }
}

/** The digest of as many bytes as the member has, in hexadecimal. @throws NixmakerError `bundle-truncated` */
export async function sha256Of(
  reader: MemberReader,
  member: Member,
  {
    buffer = Buffer.alloc(chunkSize),
    onBytes,
  }: { buffer?: Buffer; onBytes?: ((bytes: number) => void) | undefined } = {},
): Promise<string> {
  const hash = createHash('sha256');
  for (let done = 0; done < member.size; ) {
    const want = buffer.subarray(0, Math.min(buffer.length, member.size - done));
    const got = await reader.readInto(member, want, done);
    if (got < want.length) throw truncated(member);
    hash.update(want);
    done += got;
    onBytes?.(got);
  }
  return hash.digest('hex');
}

function altered(member: Member): NixmakerError {
  return new NixmakerError('bundle-altered', `the contents of ${member.name} are not what was signed`);
}

function truncated(member: Member): NixmakerError {
  return new NixmakerError('bundle-truncated', `it ends within ${member.name}`);
}
