/**
 * Brings whole contents of damaged paths from a verified bundle into the store, under another name (nix/contents.ts): Nix leaves valid paths
 * alone, whatever has become of them on disk. Needs no privilege; root then exchanges the two (root/repair.ts).
 *
 * A delta is used only if its base is what the bundle says, by contents: the NAR that comes out is compared with what was signed, so a
 * damaged base costs a try and never makes wrong contents.
 */
import type { OpenedBundle } from '../../bundle/contents.ts';
import { NarReader } from '../../bundle/nar-reader.ts';
import { messageOf, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { choosePieces } from '../../core/release/choose-pieces.ts';
import type { DeltaPiece, Piece } from '../../core/release/contents-file.ts';
import { needOfLines } from '../../core/release/need.ts';
import { type DamagedPath, isReplaceable } from '../../core/run/damage.ts';
import type { StorePath } from '../../core/store-path.ts';
import { listStandIns, readContents, standInOf } from '../../nix/contents.ts';
import { addToDaemon } from '../../nix/daemon.ts';
import { withOpenDaemon } from '../../nix/open-daemon.ts';
import { holdPaths } from '../../nix/roots.ts';
import { deletePaths, storeFolder, syncStore } from '../../nix/store.ts';
import { queryValidInfos } from '../../nix/valid-info.ts';
import type { Machine } from '../machine/machine.ts';
import { deleteReleased } from './delete-released.ts';
import { baseNarOf } from './import-bundle.ts';
import { requireRoom } from './room.ts';

type Bringer = Pick<Machine, 'clock' | 'emit' | 'interruption' | 'nix' | 'policy'>;

/** Contents that were there, and can’t be used. */
export interface Fault {
  readonly path: StorePath;
  readonly code: ReasonCode;
  readonly detail: string;
}

export interface Brought {
  readonly faults: readonly Fault[];
  readonly paths: readonly StorePath[];
  /** Lets go of the whole contents, or of what was exchanged for them, and deletes them. */
  readonly release: () => Promise<void>;
}

/** @throws NixmakerError `nix-unavailable`, `no-space`, and as reading a bundle */
export async function bringContents(
  machine: Bringer,
  bundle: OpenedBundle,
  damaged: readonly DamagedPath[],
): Promise<Brought> {
  const { nix } = machine;
  const { found, bases } = await findPieces(machine, bundle, damaged);
  const need = needOfLines(
    bundle.index,
    found.map(({ line }) => line),
  );
  if (found.length > 0) await requireRoom(machine, storeFolder(nix), need);
  const standIns = found.map(({ line }) => standInOf(bundle.index.info(line)).path);
  const { release: letGo } = await holdPaths(nix, standIns);
  const [paths, faults]: [StorePath[], Fault[]] = [[], []];
  const release = async () => {
    letGo();
    const left = standIns.length === 0 ? [] : [...(await queryValidInfos(nix, standIns)).keys()];
    // Threat: one that is damaged itself stays, is valid, and what comes next is not imported.
    await deleteLeft(machine, left).catch((error: unknown) =>
      machine.emit({ event: 'replacement-left', level: 'warn', detail: messageOf(error) }),
    );
  };
  try {
    const nars = new NarReader(bundle.reader, baseNarOf(machine, { bases }));
    // One by one: a piece that is damaged as well holds up no other.
    for (const one of found) {
      const fault = await bringOne(machine, { bundle, nars }, one);
      if (fault === undefined) paths.push(one.known.path);
      else faults.push(fault);
    }
    if (paths.length > 0) await syncStore(nix);
    return { paths, faults, release };
  } catch (error) {
    await release();
    throw error;
  }
}

/** If somebody else holds one for longer, a collection takes it later: nothing needs it. */
function deleteLeft(machine: Bringer, paths: readonly StorePath[]): Promise<void> {
  const onHeld = () => machine.emit({ event: 'replacement-held', level: 'info', paths });
  return deleteReleased(machine, { paths, delete: (some) => deletePaths(machine.nix, some), onHeld });
}

/** What a repair that was killed has left: garbage, but it may hold the damaged contents, of which `nix-store --verify` complains. */
export async function clearLeftovers({ nix, emit }: Pick<Machine, 'emit' | 'nix'>): Promise<void> {
  for (const path of await listStandIns(storeFolder(nix)))
    await deletePaths(nix, [path]).catch((error: unknown) =>
      emit({ event: 'replacement-left', level: 'warn', path, detail: messageOf(error) }),
    );
}

async function bringOne(
  { interruption, nix }: Bringer,
  { bundle, nars }: { readonly bundle: OpenedBundle; readonly nars: NarReader },
  { known, line, piece }: Found,
): Promise<Fault | undefined> {
  if (nix.daemonSocket === undefined) throw new NixmakerError('nix-unavailable', 'this store has no daemon');
  const info = bundle.index.info(line);
  const standIn = standInOf(info);
  const { path, narSize } = standIn;
  const request = { path, narSize, info: () => standIn, nar: () => nars.read(info, piece) };
  try {
    interruption?.check();
    const added = await addToDaemon({ socket: nix.daemonSocket, paths: [request] });
    added.release();
    return undefined;
  } catch (error) {
    if (!isOfPiece(error)) throw error;
    return { path: known.path, code: error.code, detail: error.detail };
  }
}

const ofPiece: ReadonlySet<string> = new Set([
  'bundle-altered',
  'bundle-malformed',
  'bundle-truncated',
  'base-missing',
]);

const isOfPiece = (error: unknown): error is NixmakerError =>
  error instanceof NixmakerError && ofPiece.has(error.code);

interface Found {
  readonly known: DamagedPath;
  readonly line: number;
  readonly piece: Piece;
}

/** What the bundle has with the very contents that are due. */
async function findPieces(
  machine: Bringer,
  { index, pieces: offered }: OpenedBundle,
  damaged: readonly DamagedPath[],
): Promise<{ readonly found: readonly Found[]; readonly bases: ReadonlyMap<StorePath, number> }> {
  const wanted = new Map<string, DamagedPath>(damaged.filter(isReplaceable).map((d) => [d.path, d]));
  const lines = new Map<number, DamagedPath>();
  for (let line = 0; line < index.length && lines.size < wanted.size; line++) {
    const known = wanted.get(index.path(line));
    if (known !== undefined && index.info(line).narHash === known.narHash) lines.set(line, known);
  }
  const pieces = [...lines.keys()].flatMap((line) => offered.get(line) ?? []);
  const bases = await withOpenDaemon(machine.nix, (nix) => usableBases({ nix }, pieces));
  const isUsable = (piece: DeltaPiece) =>
    bases.has(piece.base) && index.narSize(piece.line) <= limits.deltaNarBytes;
  const chosen = choosePieces([...lines.keys()], offered, isUsable);
  const found = [...chosen.pieces].map(([line, piece]) => ({
    known: lines.get(line) as DamagedPath,
    line,
    piece,
  }));
  return { found, bases };
}

/** With the bytes of their NARs. Read from disk: what may be damaged is not judged by the database. */
async function usableBases(
  { nix }: Pick<Bringer, 'nix'>,
  pieces: readonly Piece[],
): Promise<ReadonlyMap<StorePath, number>> {
  const usable = new Map<StorePath, number>();
  for (const piece of pieces) {
    if (piece.kind !== 'delta' || usable.has(piece.base)) continue;
    const size =
      (await queryValidInfos(nix, [piece.base])).get(piece.base)?.narSize ?? Number.POSITIVE_INFINITY;
    if (size > limits.deltaNarBytes) continue;
    const found = await readContents(storeFolder(nix), piece.base);
    if (found.kind === 'read' && found.narHash === `sha256:${piece.baseNarHash}`)
      usable.set(piece.base, size);
  }
  return usable;
}
