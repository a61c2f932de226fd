/**
 * The release that this machine runs, for a medium for its sisters: machines of the same host name. What was signed stays as it was
 * signed; NARs are made from the store, and each must be the one that the signed index pins.
 */
import { join } from 'node:path';
import { type Release, readIndex, readRelease } from '../../bundle/release.ts';
import type { BundleParts } from '../../bundle/write.ts';
import { NixmakerError } from '../../core/errors.ts';
import { heldText } from '../../core/policy/held.ts';
import { encodeContents, type Piece } from '../../core/release/contents-file.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { rootOf } from '../../core/release/manifest.ts';
import { encodeKeyBlock, NixSignatures } from '../../core/release/nix-signatures.ts';
import type { StorePath } from '../../core/store-path.ts';
import { holdPaths } from '../../nix/roots.ts';
import { withValidInfos } from '../../nix/valid-info.ts';
import { type VerifiedManifest, verifyManifest } from '../../signing/verify.ts';
import { type KeptRelease, readKeptRelease } from '../../state/kept-releases.ts';
import { readKnownFloor } from '../../target/machine/floor.ts';
import { readHeld } from '../../target/machine/held.ts';
import type { Machine } from '../../target/machine/machine.ts';
import { CacheFolder } from '../build/cache-folder.ts';
import { StoreCompressor } from '../build/compress.ts';
import { NarCounts } from '../build/nar-counts.ts';

export interface PassOnOptions {
  /** Where NARs are compressed to: as much room as the release takes on a medium. */
  readonly staging: string;
  /** A release that came encrypted may be passed on all the same. */
  readonly inTheClear: boolean;
}

/** The parts are good while `work` lasts. @throws NixmakerError `nothing-to-pass-on`, `release-held`, `held-lost`, `came-encrypted`, `wrong-machine`, `store-differs` */
export async function withOwnRelease<T>(
  machine: Machine,
  options: PassOnOptions,
  work: (parts: BundleParts) => Promise<T>,
): Promise<T> {
  const { kept, verified } = await findCommitted(machine);
  const { manifest, digest } = verified;
  if (manifest.machineId !== undefined)
    throw new NixmakerError('wrong-machine', 'it is bound to this machine, and no other may take it');
  if (kept.isSecret && !options.inTheClear)
    throw new NixmakerError('came-encrypted', `sequence ${manifest.sequence} came encrypted`);
  const index = readIndex(kept.indexBytes, manifest);
  const { nix, release } = await holdPaths(machine.nix, [...index.paths()]);
  try {
    const { pieces, cache, close } = await compressAll(index, rootOf(manifest), options);
    try {
      const files = {
        index: kept.indexBytes,
        nixSignatures: await signaturesOf({ nix }, index),
        contents: Buffer.from(encodeContents(digest, pieces)),
      };
      const read: Release = readRelease({ manifest, digest }, files);
      const { manifestBytes, signatureBytes } = kept;
      return await work({ manifestBytes, signatureBytes, release: read, sourceOf: (p) => cache.sourceOf(p) });
    } finally {
      close();
    }
  } finally {
    release();
  }
}

interface Committed {
  readonly kept: KeptRelease;
  readonly verified: VerifiedManifest;
}

/** By the floor, which is root’s word. Threat: a release that somebody went back from, for good reason, spreads from this machine. */
async function findCommitted(machine: Machine): Promise<Committed> {
  const { floor } = await readKnownFloor(machine);
  if (floor === undefined)
    throw new NixmakerError('nothing-to-pass-on', 'this machine has committed no release yet');
  const { held, heldDoubt } = await readHeld(machine.floorDirectory, floor);
  if (heldDoubt !== undefined) throw new NixmakerError('held-lost', heldDoubt);
  // The agent’s, or root’s, whoever took it.
  for (const folder of new Set([machine.agentDirectory, machine.floorDirectory])) {
    const kept = await readKeptRelease(folder, floor.manifestDigest);
    if (kept === undefined) continue;
    const verified = verifyManifest(kept.manifestBytes, kept.signatureBytes, machine.trust);
    if (verified.digest !== floor.manifestDigest) continue;
    const bad = held.find(({ sequence }) => sequence === verified.manifest.sequence);
    if (bad !== undefined) throw new NixmakerError('release-held', heldText(bad));
    return { kept, verified };
  }
  throw new NixmakerError(
    'nothing-to-pass-on',
    `what was signed of sequence ${floor.sequence} was not kept; an older nixmaker took it, or it came as a classic tarball`,
  );
}

async function compressAll(index: ReleaseIndex, root: StorePath, { staging }: PassOnOptions) {
  const cache = new CacheFolder(join(staging, 'cache'));
  const counts = new NarCounts(cache);
  const compressor = new StoreCompressor(join(staging, 'compressed'), { cache, counts, nars: undefined });
  const infos = Array.from({ length: index.length }, (_, line) => index.info(line));
  if (!(await compressor.addAll(infos, () => undefined))) {
    compressor.close();
    throw new NixmakerError(
      'store-differs',
      'some of its paths are not in the store folder, or not what was signed; `nixmaker doctor` and `nix-store --verify` say more',
    );
  }
  const files = new Map(cache.closureOf(root).map(({ path, file }) => [path, file]));
  const pieces = infos.flatMap(({ path }, line): Piece[] => {
    const file = files.get(path);
    return file === undefined ? [] : [{ kind: 'whole', line, ...file }];
  });
  return { pieces, cache, close: () => compressor.close() };
}

/** Signatures that Nix has kept: of each key that has signed all paths. The machine’s own key says nothing to others. */
async function signaturesOf({ nix }: Pick<Machine, 'nix'>, index: ReleaseIndex): Promise<Buffer> {
  const paths = [...index.paths()];
  const infos = await withValidInfos(
    nix,
    (query) => query(paths),
    () => (signature) => !signature.startsWith('nixmaker-store-'),
  );
  const needed = paths.flatMap((_, line) => (index.isContentAddressed(line) ? [] : [line]));
  const of = (line: number) =>
    new Map(
      (infos.get(index.path(line))?.signatures ?? []).map((text) => [text.slice(0, text.indexOf(':')), text]),
    );
  const bySign = new Map(needed.map((line) => [line, of(line)]));
  const [first = new Map<string, string>()] = bySign.values();
  const names = [...first.keys()].filter((name) => needed.every((line) => bySign.get(line)?.has(name)));
  const blocks = names.map((name) =>
    encodeKeyBlock(index, name, (line) => bySign.get(line)?.get(name) ?? ''),
  );
  const bytes = Buffer.from(blocks.join(''), 'latin1');
  try {
    return NixSignatures.parse(bytes, index).bytes;
  } catch {
    // Nix holds something in another form: the sisters’ root vouches instead.
    return Buffer.alloc(0);
  }
}
