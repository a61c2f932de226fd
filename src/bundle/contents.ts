/** The members' contents: read whole (small ones), checked (all), streamed (NARs). Each byte's digest is checked. */
import { createHash } from 'node:crypto';
import { NixmakerError } from '../core/errors.ts';
import { type Manifest, metaText } from '../core/manifest.ts';
import { type Narinfo, parseNarinfo } from '../core/narinfo.ts';
import { encodeNix32 } from '../core/nix32.ts';
import { hashPart, type StorePath, toBaseName } from '../core/store-path.ts';
import type { BundleFile } from './file.ts';
import type { Layout, PlacedMember } from './layout.ts';

/** Bytes read at a time; memory in use is a small multiple of this whatever the bundle's size. */
const chunkSize = 256 * 1024;

export const cacheInfo = 'StoreDir: /nix/store\nWantMassQuery: 1\nPriority: 30\n';

/** A bundle whose manifest fits its layout and whose narinfos fit its manifest. */
export interface OpenedBundle {
  readonly file: BundleFile;
  readonly manifest: Manifest;
  readonly layout: Layout;
  readonly members: ReadonlyMap<string, PlacedMember>;
  readonly narinfos: ReadonlyMap<string, Narinfo>;
}

/**
 * Reads and checks all small members: meta, nix-cache-info and the narinfos.
 * @throws NixmakerError `bundle-altered`, `bundle-malformed`, `closure-incomplete`
 */
export async function openContents(
  file: BundleFile,
  manifest: Manifest,
  layout: Layout,
): Promise<OpenedBundle> {
  const members = new Map(layout.members.map((m) => [m.name, m]));
  const bundle = { file, manifest, layout, members, narinfos: new Map<string, Narinfo>() };
  const small = layout.members.filter((m) => !m.name.startsWith('nar/'));
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

/** Every path of the manifest has a narinfo that says the same, and a NAR unless a base is relied on. */
function checkNarinfos({ manifest, narinfos, members }: OpenedBundle): void {
  const served = new Set<string>();
  for (const info of manifest.paths) {
    const name = `${hashPart(info.path)}.narinfo`;
    const narinfo = narinfos.get(name);
    expect(narinfo !== undefined && agrees(narinfo, info), `${name} does not agree with the manifest`);
    const nar = members.get(narinfo.url);
    if (nar === undefined) {
      if (manifest.base.length > 0) continue;
      throw new NixmakerError('closure-incomplete', `the contents of ${info.path} are missing`);
    }
    const fileHash = encodeNix32(Buffer.from(nar.sha256, 'hex'));
    const consistent =
      narinfo.compression === 'zstd' &&
      narinfo.url === `nar/${fileHash}.nar.zst` &&
      narinfo.fileHash === `sha256:${fileHash}` &&
      narinfo.fileSize === nar.size;
    expect(consistent, `${name} does not agree with its NAR`);
    served.add(nar.name);
  }
  const spare = [...members.keys()].find((n) => n.startsWith('nar/') && !served.has(n));
  expect(spare === undefined, `${spare} belongs to no path`);
}

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

/** @throws NixmakerError `bundle-altered`, `bundle-truncated` */
export async function readMember(bundle: Pick<OpenedBundle, 'file'>, member: PlacedMember): Promise<Buffer> {
  const bytes = await bundle.file.read(member.position, member.size);
  if (createHash('sha256').update(bytes).digest('hex') !== member.sha256) throw altered(member);
  return bytes;
}

/**
 * Yields a member's contents, and the last chunk only once the digest of the whole is right: whoever reads to the
 * end has read what was signed. The buffers are not reused, for they may still be on their way into a socket.
 * @throws NixmakerError `bundle-altered`, `bundle-truncated`, `io-error`
 */
export async function* streamMember(
  bundle: Pick<OpenedBundle, 'file'>,
  member: PlacedMember,
): AsyncGenerator<Buffer, void, void> {
  const hash = createHash('sha256');
  let held: Buffer | undefined;
  for (let done = 0; done < member.size; ) {
    const chunk = await bundle.file.read(member.position + done, Math.min(chunkSize, member.size - done));
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
  for (const member of bundle.layout.members) {
    if (!member.name.startsWith('nar/')) continue;
    await checkMember(bundle, member, { buffer, ...(onBytes === undefined ? {} : { onBytes }) });
  }
}

async function checkMember(
  { file }: Pick<OpenedBundle, 'file'>,
  member: PlacedMember,
  { buffer, onBytes }: { buffer: Buffer; onBytes?: (bytes: number) => void },
): Promise<void> {
  const hash = createHash('sha256');
  for (let done = 0; done < member.size; ) {
    const want = buffer.subarray(0, Math.min(buffer.length, member.size - done));
    const got = await file.readInto(want, member.position + done);
    if (got < want.length) throw new NixmakerError('bundle-truncated', `it ends within ${member.name}`);
    hash.update(want);
    done += got;
    onBytes?.(got);
  }
  if (hash.digest('hex') !== member.sha256) throw altered(member);
}

function altered(member: PlacedMember): NixmakerError {
  return new NixmakerError('bundle-altered', `the contents of ${member.name} are not what was signed`);
}
