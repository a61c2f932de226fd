/**
 * One of several media that carry a release together. What can be imported is, and is held; the run then waits for the other parts. With the
 * last of them a run finds everything there, and goes on as any other.
 */

import { NixmakerError } from '../../core/errors.ts';
import type { Piece } from '../../core/release/contents-file.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import { importable, neededText, type PartsHint, partsWith, topmost } from '../../core/release/parts.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { VerifiedManifest } from '../../signing/verify.ts';
import { readParts, writeParts } from '../../state/parts.ts';
import type { Machine } from '../machine/machine.ts';
import { rootParts } from '../machine/part-roots.ts';
import type { Transaction } from '../machine/transaction.ts';

export interface PartPlan {
  /** Lines to import now. */
  readonly now: readonly number[];
  /** Lines that are left for other parts, or for when those have come. */
  readonly later: readonly number[];
  readonly hint: PartsHint;
}

/**
 * @param pieces usable ones, by line
 * @returns undefined if other parts are not what is lacking
 */
export function planPart(
  { index, hint }: { readonly index: ReleaseIndex; readonly hint: PartsHint },
  missing: readonly number[],
  pieces: ReadonlyMap<number, Piece>,
): PartPlan | undefined {
  const elsewhere = (line: number) => hint.partOf[line] !== 0 && hint.partOf[line] !== hint.part;
  if (!missing.every((line) => pieces.has(line) || elsewhere(line))) return undefined;
  const now = importable(missing, index, (line) => pieces.has(line));
  const soon = new Set(now);
  return { now, later: missing.filter((line) => !soon.has(line)), hint };
}

interface PartRun {
  readonly transaction: Transaction;
  readonly verified: VerifiedManifest;
  readonly index: ReleaseIndex;
  readonly plan: PartPlan;
}

/**
 * @param importNow imports the lines of the plan
 * @throws NixmakerError `part-older` if a newer release’s parts are being collected; and what the import throws
 */
export async function takePart(
  machine: Pick<Machine, 'clock' | 'nix' | 'settings'>,
  { transaction, verified, index, plan }: PartRun,
  importNow: () => Promise<void>,
): Promise<Receipt> {
  const { stateDirectory } = machine.settings;
  const { manifest, digest } = verified;
  const { host, sequence } = manifest;
  const { now, later, hint } = plan;
  const before = await readParts(stateDirectory);
  if (before !== undefined && before.sequence > sequence)
    throw new NixmakerError(
      'part-older',
      `it is part ${hint.part} of sequence ${sequence}; parts of ${before.sequence} are being collected here`,
    );
  const needed = partsWith(later, hint);
  const note = { host, sequence, manifestDigest: digest, of: hint.of, paths: index.length };
  const at = machine.clock.now().toISOString();
  // First of all: a power cut leaves what is held, and with this it is known what for, and for how long.
  const early = partsWith([...now, ...later], hint);
  await writeParts(stateDirectory, {
    ...note,
    needed: early,
    here: index.length - now.length - later.length,
    at,
  });
  const absent = new Set(later);
  const tops = topmost(index, (line) => !absent.has(line));
  await rootParts(
    machine,
    tops.map((line) => index.path(line)),
  );
  if (now.length > 0) await importNow();
  await writeParts(stateDirectory, { ...note, needed, here: index.length - later.length, at });
  const came = now.length > 0 ? `part ${hint.part} has come` : `part ${hint.part} cannot be used yet`;
  const detail = `${came}; ${neededText({ of: hint.of, needed })}`;
  return transaction.end('deferred', { code: 'parts-missing', detail });
}
