/** Repairs damaged store paths from bundles at hand: brings their contents into the store, and has root exchange them. */
import { given } from '../../core/given.ts';
import { outcomeOf } from '../../core/outcome.ts';
import { type ContentsRecord, type DamagedPath, isReplaceable, nothingRead } from '../../core/run/damage.ts';
import { writeContentsRecord } from '../../state/contents-record.ts';
import { type CheckProgress, checkContents } from '../machine/check-contents.ts';
import type { Machine, RootMachine } from '../machine/machine.ts';
import type { Root } from '../machine/root.ts';
import {
  type AtHand,
  candidatesAtHand,
  candidatesNamed,
  type OnUnusable,
  openAtHand,
  signedHashesIn,
  type Unusable,
} from '../media/at-hand.ts';
import { bringContents, clearLeftovers } from '../update/bring-contents.ts';

export type { Unusable } from '../media/at-hand.ts';

/** Bundles opened at a time: each is an index in memory. */
const mostSources = 16;

/** The second is for contents that came to be linked to the same damage (nix/links.ts), which root has cleared away then. */
const rounds = 2;

/** @returns what is damaged afterwards */
export async function repairFrom(
  machine: Machine,
  root: Pick<Root, 'repair'>,
  {
    record,
    sources,
    onUnusable,
  }: {
    readonly record: ContentsRecord;
    readonly sources: readonly Pick<AtHand, 'file' | 'bundle'>[];
    readonly onUnusable: OnUnusable;
  },
): Promise<ContentsRecord> {
  let left = record;
  for (const { file, bundle } of sources)
    for (let round = 0; round < rounds && left.damaged.some(isReplaceable); round++) {
      const before = left;
      const told = (fault: Omit<Unusable, 'file'>) => onUnusable({ file, ...fault });
      left = await repairOnce(machine, root, { before, bundle, told }).catch((error: unknown) => {
        told(outcomeOf(error));
        return before;
      });
      if (left === before) break;
    }
  return left;
}

/** @returns the same record if there was nothing to use */
async function repairOnce(
  machine: Machine,
  root: Pick<Root, 'repair'>,
  {
    before,
    bundle,
    told,
  }: {
    readonly before: ContentsRecord;
    readonly bundle: AtHand['bundle'];
    readonly told: (fault: Omit<Unusable, 'file'>) => void;
  },
): Promise<ContentsRecord> {
  const brought = await bringContents(machine, bundle, before.damaged);
  try {
    for (const { path, code, detail } of brought.faults) told({ code, detail: `${path}: ${detail}` });
    return brought.paths.length === 0 ? before : await root.repair();
  } finally {
    await brought.release();
  }
}

export interface ByHand {
  /** What a person has named; if nothing, all that is at hand. */
  readonly source: string | undefined;
  readonly onProgress: (progress: CheckProgress) => void;
  readonly onUnusable: OnUnusable;
}

export interface RepairedByHand {
  /** As they were found. */
  readonly repaired: readonly DamagedPath[];
  /** What was found, and is still damaged. */
  readonly record: ContentsRecord;
}

/** Everything is read first: what the indexes at hand say counts as well. */
export async function repairByHand(
  machine: RootMachine,
  root: Pick<Root, 'repair'>,
  { source, onProgress, onUnusable }: ByHand,
): Promise<RepairedByHand> {
  machine.interruption?.begin();
  const candidates =
    source === undefined
      ? await candidatesAtHand(machine, onUnusable)
      : await candidatesNamed(machine, source, onUnusable);
  const sources: AtHand[] = [];
  try {
    for (const candidate of candidates.slice(0, mostSources)) {
      const opened = await openAtHand(machine, candidate, onUnusable);
      if (opened !== undefined) sources.push(opened);
    }
    await clearLeftovers(machine);
    const signed = signedHashesIn(sources);
    const { interruption } = machine;
    const options = { signed, onProgress, ...given({ signal: interruption?.signal }) };
    const found = await checkContents(machine, nothingRead, options);
    interruption?.check();
    await writeContentsRecord(machine.floorDirectory, found);
    // From here on a signal waits: what has been exchanged is to be told.
    const repair = async () => {
      interruption?.pass();
      return root.repair();
    };
    const record = await repairFrom(machine, { repair }, { record: found, sources, onUnusable });
    const left = new Set(record.damaged.map(({ path }) => path));
    const repaired = found.damaged.filter(({ path }) => !left.has(path));
    return { repaired, record };
  } finally {
    for (const { close } of sources) await close();
  }
}
