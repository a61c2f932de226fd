/** What has to be imported, and from what: decided while everything that is there already is held. */
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { choosePieces } from '../../core/release/choose-pieces.ts';
import type { DeltaPiece, Piece } from '../../core/release/contents-file.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { sizeText, unlikeSizes } from '../../core/size.ts';
import type { StorePath } from '../../core/store-path.ts';
import { spaceAt } from '../../media/space.ts';
import { holdPaths } from '../../nix/roots.ts';
import { storeFolder } from '../../nix/store.ts';
import { queryValidInfos } from '../../nix/valid-info.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import { comparePaths, recognizeByPublicKey, storeDiffers } from '../machine/valid-paths.ts';
import { clearDifferences } from './clear-differences.ts';
import type { Contents } from './open.ts';

type Store = Pick<Machine, 'nix' | 'floorDirectory' | 'policy'>;

export interface ImportPlan {
  /** Lines of the index that are not valid yet. */
  readonly missing: readonly number[];
  /** Of a bundle: what each of them is made from. */
  readonly pieces: ReadonlyMap<number, Piece>;
  /** Lets go of what was there already. */
  readonly release: () => void;
}

/**
 * Compares what is there with what was signed, clears away what differs and nothing needs, and looks whether the rest can be had
 * and will fit, before the first byte is written.
 * @throws NixmakerError `store-differs`, `base-missing`, `no-space`
 */
export async function planImport(
  machine: Store,
  { transaction, contents }: { readonly transaction: Transaction; readonly contents: Contents },
): Promise<ImportPlan> {
  const { index } = contents;
  const recognition = await recognizeByPublicKey(machine);
  const held = [...index.paths(), ...basesOffered(contents)];
  let release = await holdPaths(machine.nix, held);
  try {
    let comparison = await comparePaths(machine, index, recognition);
    if (comparison.differing.length > 0) {
      // What is held can’t be deleted. Afterwards once more: what was not held may have gone, and what was not there may have come.
      release();
      await clearDifferences(machine, transaction, comparison.differing);
      release = await holdPaths(machine.nix, held);
      comparison = await comparePaths(machine, index, recognition);
    }
    if (comparison.differing.length > 0) throw storeDiffers(comparison.differing);
    const { missing } = comparison;
    const pieces = await findPieces(machine, missing, contents);
    await checkRoom(machine, index, missing);
    return { missing, pieces, release };
  } catch (error) {
    release();
    throw error;
  }
}

/** What differences are to: held as well, for a collection would turn a good bundle into one that can’t be read. */
function basesOffered(contents: Contents): Set<StorePath> {
  const bases = new Set<StorePath>();
  if (contents.kind !== 'bundle') return bases;
  for (const pieces of contents.bundle.pieces.values())
    for (const piece of pieces) if (piece.kind === 'delta') bases.add(piece.base);
  return bases;
}

/** A bundle leaves out what its target is thought to have. @throws NixmakerError `base-missing` */
async function findPieces(
  { nix }: Store,
  missing: readonly number[],
  contents: Contents,
): Promise<ReadonlyMap<number, Piece>> {
  if (contents.kind !== 'bundle') return new Map();
  const { pieces: offered } = contents.bundle;
  const deltas = missing.flatMap((line) => offered.get(line)?.filter((p) => p.kind === 'delta') ?? []);
  const bases = await queryValidInfos(nix, [...new Set(deltas.map((d) => d.base))]);
  const isUsable = (piece: DeltaPiece) => {
    const base = bases.get(piece.base);
    return (
      base !== undefined &&
      base.narHash === `sha256:${piece.baseNarHash}` &&
      base.narSize <= limits.deltaNarBytes &&
      contents.index.narSize(piece.line) <= limits.deltaNarBytes
    );
  };
  const { pieces, lacking } = choosePieces(missing, offered, isUsable);
  const [first, ...more] = lacking;
  if (first === undefined) return pieces;
  const others = more.length === 0 ? ' is not there' : ` and ${more.length} more are not there`;
  const path = contents.index.path(first.line);
  if (first.base === undefined)
    throw new NixmakerError('base-missing', `${path}${others}, and the bundle relies on it`);
  const isThere = bases.has(first.base);
  throw new NixmakerError(
    'base-missing',
    isThere
      ? `${first.base} is there, but was built elsewhere and holds something else than the bundle relies on`
      : `${first.base}${others}, and the bundle relies on it`,
  );
}

const blockBytes = 4096;

/**
 * Whether what is missing will fit: a full disk midway harms everything else on the machine. The index’s counts are of its files;
 * what a file system needs besides, the policy keeps free.
 * @throws NixmakerError `no-space`
 */
async function checkRoom(
  { nix, policy }: Store,
  index: ReleaseIndex,
  missing: readonly number[],
): Promise<void> {
  if (missing.length === 0) return;
  let [blocks, files] = [0, 0];
  for (const line of missing) {
    blocks += index.blocks(line);
    files += index.files(line);
  }
  const bytes = blocks * blockBytes;
  const { freeBytes, freeInodes } = await spaceAt(storeFolder(nix));
  // For Nix’s database and log, and for the machine to go on.
  const spareRoom = policy.limits.freeBytes;
  const [needed, free] = unlikeSizes(bytes + spareRoom, freeBytes);
  if (bytes + spareRoom > freeBytes)
    throw new NixmakerError(
      'no-space',
      `${needed} are needed, of which ${sizeText(spareRoom)} must stay free; ${free} are free`,
    );
  // Some file systems (btrfs) count no inodes and say 0 of 0; those are told by having none at all.
  if (freeInodes > 0 && freeInodes < files)
    throw new NixmakerError(
      'no-space',
      `${files} files and folders are to be imported; only ${freeInodes} inodes are free`,
    );
}
