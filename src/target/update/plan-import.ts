/** What has to be imported, and from what: decided while everything already there is held. */
import type { Release } from '../../bundle/release.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { type Chosen, choosePieces } from '../../core/release/choose-pieces.ts';
import type { DeltaPiece, Piece } from '../../core/release/contents-file.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { needOfLines } from '../../core/release/need.ts';
import type { StorePath } from '../../core/store-path.ts';
import type { NixContext } from '../../nix/command.ts';
import { findLost } from '../../nix/lost.ts';
import { holdPaths } from '../../nix/roots.ts';
import { openRecentNix } from '../../nix/settings.ts';
import { storeFolder } from '../../nix/store.ts';
import { queryValidInfos, type ValidInfo } from '../../nix/valid-info.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import { comparePaths, recognizeByPublicKey, requireAsSigned } from '../machine/valid-paths.ts';
import { clearDifferences } from './clear-differences.ts';
import type { Contents } from './open.ts';
import { type PartPlan, planPart } from './part.ts';
import { requireRoom } from './room.ts';

type Store = Pick<Machine, 'clock' | 'nix' | 'floorDirectory' | 'policy'>;

export interface ImportPlan {
  /** Lines of the index that are not valid yet. */
  readonly missing: readonly number[];
  /** For a bundle: what each of them is made from. */
  readonly pieces: ReadonlyMap<number, Piece>;
  /** Bytes of the NARs of paths that deltas may build on. */
  readonly bases: ReadonlyMap<StorePath, number>;
  /** If the medium is one of several, and others are needed: `missing` is then what can be imported now. */
  readonly part?: PartPlan | undefined;
  /** Asks on the connection that holds what was already there (nix/roots.ts). */
  readonly nix: NixContext;
  /** Releases it. */
  readonly release: () => void;
}

/**
 * Compares what is there with what was signed, clears away what differs or is not whole and nothing needs, and checks that the rest is
 * available and will fit, before the first byte is written.
 * @throws NixmakerError `nix-unavailable`, `nix-too-old`, `store-differs`, `store-corrupt`, `base-missing`, `no-space`
 */
export async function planImport(
  machine: Store,
  { transaction, contents }: { readonly transaction: Transaction; readonly contents: Contents },
): Promise<ImportPlan> {
  const { index } = contents;
  const recognition = await recognizeByPublicKey(machine);
  const hold = () => holdPaths(machine.nix, pathsToHold(contents), openRecentNix);
  let { nix, release } = await hold();
  try {
    let comparison = await comparePaths({ nix }, index, recognition);
    if (comparison.differing.length + comparison.lost.length > 0) {
      // What is held can’t be deleted. Checked again afterwards: what was not held may have gone, and what was not there may have come.
      release();
      await clearDifferences(machine, transaction, comparison);
      ({ nix, release } = await hold());
      comparison = await comparePaths({ nix }, index, recognition);
    }
    requireAsSigned(comparison);
    const { missing } = comparison;
    const { pieces, bases, part } =
      contents.kind === 'bundle'
        ? await findPart({ nix }, missing, contents)
        : { pieces: new Map(), bases: new Map() };
    // For all parts at once: nobody should bring the others for nothing.
    if (missing.length > 0) await requireRoom(machine, storeFolder(machine.nix), needOfLines(index, missing));
    return { missing: part?.now ?? missing, pieces, bases, part, nix, release };
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

/** If a path is missing that another medium carries, what can be had from this one. @throws NixmakerError `base-missing` */
async function findPart(
  store: Pick<Store, 'nix'>,
  missing: readonly number[],
  { bundle, parts: hint }: Extract<Contents, { kind: 'bundle' }>,
): Promise<Pick<ImportPlan, 'pieces' | 'bases' | 'part'>> {
  const chosen = await choose(store, missing, bundle);
  const { pieces, lacking } = chosen;
  const part =
    hint === undefined || lacking.length === 0
      ? undefined
      : planPart({ index: bundle.index, hint }, missing, pieces);
  if (part === undefined) refuseLacking(bundle.index, chosen);
  const bases = new Map([...chosen.bases].map(([path, { narSize }]) => [path, narSize]));
  return { pieces, bases, part };
}

/** A bundle leaves out what its target is thought to have. @throws NixmakerError `base-missing` */
export async function findPieces(
  store: Pick<Store, 'nix'>,
  missing: readonly number[],
  release: Offered,
): Promise<ReadonlyMap<number, Piece>> {
  const chosen = await choose(store, missing, release);
  refuseLacking(release.index, chosen);
  return chosen.pieces;
}

type Offered = Pick<Release, 'index' | 'pieces'>;

interface ChosenHere extends Chosen {
  /** Bases of deltas that are here. */
  readonly bases: ReadonlyMap<StorePath, ValidInfo>;
}

async function choose(
  { nix }: Pick<Store, 'nix'>,
  missing: readonly number[],
  { index, pieces: offered }: Offered,
): Promise<ChosenHere> {
  const deltas = missing.flatMap((line) => offered.get(line)?.filter((p) => p.kind === 'delta') ?? []);
  const known = await queryValidInfos(nix, [...new Set(deltas.map((d) => d.base))]);
  const lost = await findLost(nix, known.keys(), { infosOf: async () => known });
  const bases = new Map([...known].filter(([path]) => !lost.has(path)));
  const isUsable = (piece: DeltaPiece) => {
    const base = bases.get(piece.base);
    return (
      base !== undefined &&
      base.narHash === `sha256:${piece.baseNarHash}` &&
      base.narSize <= limits.deltaNarBytes &&
      index.narSize(piece.line) <= limits.deltaNarBytes
    );
  };
  return { ...choosePieces(missing, offered, isUsable), bases };
}

function refuseLacking(index: ReleaseIndex, { lacking, bases }: ChosenHere): void {
  const [first, ...more] = lacking;
  if (first === undefined) return;
  const others = more.length === 0 ? ' is missing' : ` and ${more.length} more are missing`;
  const path = index.path(first.line);
  if (first.base === undefined)
    throw new NixmakerError('base-missing', `${path}${others}, but the bundle builds on it`);
  throw new NixmakerError(
    'base-missing',
    bases.has(first.base)
      ? `${first.base} is here, but was built elsewhere and does not hold what the bundle builds on`
      : `${first.base}${others}, but the bundle builds on it`,
  );
}
