/** What has to be imported, and from what: decided while everything already there is held. */
import type { Release } from '../../bundle/release.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { choosePieces } from '../../core/release/choose-pieces.ts';
import type { DeltaPiece, Piece } from '../../core/release/contents-file.ts';
import { needOfLines } from '../../core/release/need.ts';
import type { StorePath } from '../../core/store-path.ts';
import { holdPaths } from '../../nix/roots.ts';
import { storeFolder } from '../../nix/store.ts';
import { queryValidInfos } from '../../nix/valid-info.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import { comparePaths, recognizeByPublicKey, storeDiffers } from '../machine/valid-paths.ts';
import { clearDifferences } from './clear-differences.ts';
import type { Contents } from './open.ts';
import { requireRoom } from './room.ts';

type Store = Pick<Machine, 'nix' | 'floorDirectory' | 'policy'>;

export interface ImportPlan {
  /** Lines of the index that are not valid yet. */
  readonly missing: readonly number[];
  /** For a bundle: what each of them is made from. */
  readonly pieces: ReadonlyMap<number, Piece>;
  /** Releases what was already there. */
  readonly release: () => void;
}

/**
 * Compares what is there with what was signed, clears away what differs and nothing needs, and checks that the rest is available and will
 * fit, before the first byte is written.
 * @throws NixmakerError `store-differs`, `base-missing`, `no-space`
 */
export async function planImport(
  machine: Store,
  { transaction, contents }: { readonly transaction: Transaction; readonly contents: Contents },
): Promise<ImportPlan> {
  const { index } = contents;
  const recognition = await recognizeByPublicKey(machine);
  const held = pathsToHold(contents);
  let release = await holdPaths(machine.nix, held);
  try {
    let comparison = await comparePaths(machine, index, recognition);
    if (comparison.differing.length > 0) {
      // What is held can’t be deleted. Checked again afterwards: what was not held may have gone, and what was not there may have come.
      release();
      await clearDifferences(machine, transaction, comparison.differing);
      release = await holdPaths(machine.nix, held);
      comparison = await comparePaths(machine, index, recognition);
    }
    if (comparison.differing.length > 0) throw storeDiffers(comparison.differing);
    const { missing } = comparison;
    const pieces =
      contents.kind === 'bundle' ? await findPieces(machine, missing, contents.bundle) : new Map();
    if (missing.length > 0) await requireRoom(machine, storeFolder(machine.nix), needOfLines(index, missing));
    return { missing, pieces, release };
  } catch (error) {
    release();
    throw error;
  }
}

/** Everything the release contains or relies on. */
export const pathsToHold = (contents: Contents): StorePath[] => [
  ...contents.index.paths(),
  ...basesOffered(contents),
];

/** What deltas are relative to: held as well, because a collection would turn a good bundle into an unreadable one. */
function basesOffered(contents: Contents): Set<StorePath> {
  const bases = new Set<StorePath>();
  if (contents.kind !== 'bundle') return bases;
  for (const pieces of contents.bundle.pieces.values())
    for (const piece of pieces) if (piece.kind === 'delta') bases.add(piece.base);
  return bases;
}

/** A bundle leaves out what its target is thought to have. @throws NixmakerError `base-missing` */
export async function findPieces(
  { nix }: Pick<Store, 'nix'>,
  missing: readonly number[],
  { index, pieces: offered }: Pick<Release, 'index' | 'pieces'>,
): Promise<ReadonlyMap<number, Piece>> {
  const deltas = missing.flatMap((line) => offered.get(line)?.filter((p) => p.kind === 'delta') ?? []);
  const bases = await queryValidInfos(nix, [...new Set(deltas.map((d) => d.base))]);
  const isUsable = (piece: DeltaPiece) => {
    const base = bases.get(piece.base);
    return (
      base !== undefined &&
      base.narHash === `sha256:${piece.baseNarHash}` &&
      base.narSize <= limits.deltaNarBytes &&
      index.narSize(piece.line) <= limits.deltaNarBytes
    );
  };
  const { pieces, lacking } = choosePieces(missing, offered, isUsable);
  const [first, ...more] = lacking;
  if (first === undefined) return pieces;
  const others = more.length === 0 ? ' is missing' : ` and ${more.length} more are missing`;
  const path = index.path(first.line);
  if (first.base === undefined)
    throw new NixmakerError('base-missing', `${path}${others}, but the bundle builds on it`);
  const isThere = bases.has(first.base);
  throw new NixmakerError(
    'base-missing',
    isThere
      ? `${first.base} is here, but was built elsewhere and does not hold what the bundle builds on`
      : `${first.base}${others}, but the bundle builds on it`,
  );
}
