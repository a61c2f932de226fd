/** Imports a bundle’s store paths: through the daemon’s socket, or for any other store with `nix copy`. */
import { join } from 'node:path';
import type { OpenedBundle } from '../../bundle/contents.ts';
import { type BaseNar, NarReader } from '../../bundle/nar-reader.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { Piece } from '../../core/release/contents-file.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import type { NixSignatures } from '../../core/release/nix-signatures.ts';
import { topmost } from '../../core/release/parts.ts';
import type { PathInfo } from '../../core/release/path-info.ts';
import { toBaseName } from '../../core/store-path.ts';
import { type Added, addToDaemon } from '../../nix/daemon.ts';
import { importFromCache } from '../../nix/import.ts';
import type { NixProgress } from '../../nix/log.ts';
import { narOf } from '../../nix/nar.ts';
import { storeFolder, syncStore } from '../../nix/store.ts';
import type { Machine } from '../machine/machine.ts';
import type { ImportPlan } from './plan-import.ts';
import { ReadAhead } from './read-ahead.ts';
import { ImportRoom, keepingRoom } from './room.ts';

export interface BundleImport {
  readonly bundle: OpenedBundle;
  readonly plan: Pick<ImportPlan, 'missing' | 'pieces' | 'part'> & Partial<Pick<ImportPlan, 'bases'>>;
  /** What the bundle lacks for Nix on this machine (vouch.ts). */
  readonly signatures: NixSignatures | undefined;
  /** Into a store that belongs to nobody yet (nix/import.ts). */
  readonly isTrusted?: true;
}

interface Options {
  readonly onProgress: (progress: NixProgress) => void;
}

/** Paths already valid are left alone. When this returns, everything is on disk and held against garbage collection until released. */
export async function importBundle(
  machine: Pick<Machine, 'clock' | 'nix' | 'policy' | 'randomHex' | 'interruption'>,
  request: BundleImport,
  options: Options,
): Promise<Added> {
  const { daemonSocket } = machine.nix;
  return daemonSocket === undefined
    ? importThroughCache(machine, request, options)
    : importThroughDaemon(machine, { ...request, socket: daemonSocket }, options);
}

/** Of the plan’s bases. */
export const baseNarOf =
  ({ nix }: Pick<Machine, 'nix'>, { bases }: Partial<Pick<ImportPlan, 'bases'>>): BaseNar =>
  (path) => {
    const size = bases?.get(path) ?? 0;
    return { size, chunks: narOf(join(storeFolder(nix), toBaseName(path)), size) };
  };

/** The bundle’s own, plus those that root added. */
const signaturesOf =
  ({ bundle, signatures }: Pick<BundleImport, 'bundle' | 'signatures'>) =>
  (line: number): readonly string[] => [...bundle.nixSignatures.of(line), ...(signatures?.of(line) ?? [])];

async function importThroughDaemon(
  machine: Pick<Machine, 'nix' | 'policy' | 'interruption'>,
  { socket, ...request }: BundleImport & { readonly socket: string },
  options: Options,
): Promise<Added> {
  const { bundle, plan } = request;
  const { index } = bundle;
  const nars = new NarReader(bundle.reader, baseNarOf(machine, plan));
  const infoOf = readOnce(index);
  const ahead = new ReadAhead({
    lines: plan.missing,
    read: (line) => nars.read(infoOf(line), pieceOf(request, line)),
    weigh: weightsIn(request),
    interruption: machine.interruption,
  });
  const signed = signaturesOf(request);
  const room = new ImportRoom(machine, index, plan.missing);
  // Built path by path when its turn comes: there may be two hundred thousand.
  const paths = plan.missing.map((line) => ({
    path: index.path(line),
    narSize: index.narSize(line),
    info: () => ({ ...infoOf(line), signatures: signed(line) }),
    nar: () => room.over(line, ahead.take(line)),
  }));
  const flushing = new FlushAsYouGo(() => syncStore(machine.nix));
  const added = await addToDaemon(
    { socket, paths },
    { ...options, onBytes: (total) => flushing.note(total) },
  ).finally(() => ahead.close());
  try {
    await flushing.end();
    return added;
  } catch (error) {
    // Otherwise it would keep all of it until this process ends.
    added.release();
    throw error;
  }
}

/** For whoever asks twice in a row: when a NAR is begun, and when its path is announced. */
function readOnce(index: ReleaseIndex): (line: number) => PathInfo {
  let last: { readonly line: number; readonly info: PathInfo } | undefined;
  return (line) => {
    if (last?.line !== line) last = { line, info: index.info(line) };
    return last.info;
  };
}

const flushEvery = 256 * 1024 * 1024;

/**
 * Flushes to disk while more is still coming. Waiting for it all at the end takes a third longer, and exposes more of what is already valid
 * to a power cut.
 */
class FlushAsYouGo {
  readonly #flush: () => Promise<void>;
  #flushed = 0;
  #running: Promise<void> | undefined;
  #fault: unknown;

  constructor(flush: () => Promise<void>) {
    this.#flush = flush;
  }

  note(bytes: number): void {
    if (bytes - this.#flushed < flushEvery || this.#running !== undefined) return;
    this.#flushed = bytes;
    this.#running = this.#flush()
      .catch((error: unknown) => {
        this.#fault ??= error;
      })
      .finally(() => {
        this.#running = undefined;
      });
  }

  /** @throws what any of the flushes threw: the system reports a failed write only once (syncfs(2)) */
  async end(): Promise<void> {
    await this.#running;
    if (this.#fault !== undefined) throw this.#fault;
    await this.#flush();
  }
}

/** For a delta: its base twice, or once and the window (bundle/delta.ts). Anything else is in small parts, or given as a whole. */
const weightsIn =
  ({ bundle, plan }: BundleImport) =>
  (line: number): number => {
    const piece = plan.pieces.get(line);
    if (piece?.kind !== 'delta') return 0;
    const base = plan.bases?.get(piece.base) ?? 0;
    return base + Math.max(base, bundle.index.narSize(line));
  };

function pieceOf({ bundle, plan }: BundleImport, line: number): Piece {
  const piece = plan.pieces.get(line);
  if (piece !== undefined) return piece;
  throw new NixmakerError('closure-incomplete', `the contents of ${bundle.index.path(line)} are missing`);
}

async function importThroughCache(
  machine: Pick<Machine, 'clock' | 'interruption' | 'nix' | 'policy' | 'randomHex'>,
  request: BundleImport,
  options: Options,
): Promise<Added> {
  const { bundle, plan } = request;
  const { index } = bundle;
  const now = new Set(plan.missing);
  const lines = plan.part === undefined ? [index.length - 1] : topmost(index, (line) => now.has(line));
  // Node.js’ HTTP server takes a fifth of the agent’s start-up and is seldom needed.
  const { serveBundle } = await import('../../bundle/binary-cache.ts');
  const cache = await serveBundle(bundle, {
    secret: machine.randomHex(16),
    chosen: plan.pieces,
    signaturesOf: signaturesOf(request),
    narOf: baseNarOf(machine, plan),
  });
  try {
    await keepingRoom(machine, storeFolder(machine.nix), (signal) =>
      importFromCache(
        { ...machine.nix, signal },
        {
          url: cache.url,
          paths: lines.map((line) => index.path(line)),
          isTrusted: request.isTrusted === true,
        },
        options,
      ),
    );
    return { bytes: cache.bytesServed(), release: () => undefined };
  } catch (error) {
    // If the bundle was at fault, all that Nix saw was a broken download.
    throw cache.fault() ?? error;
  } finally {
    await cache.close();
  }
}
