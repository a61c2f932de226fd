/** What `status` and `history` report. Reads only; needs neither policy nor a running agent. */
import { findStartChanges } from '../../activation/inspect.ts';
import { insteadOf } from '../../core/errno.ts';
import type { HeldRelease } from '../../core/policy/held.ts';
import type { Settings } from '../../core/policy/settings.ts';
import { mergeJournals, type Totals, totalsOf, type Unread } from '../../core/run/journal.ts';
import type { Wait } from '../../core/run/waits.ts';
import { type DiskRow, listDisks } from '../../media/space.ts';
import { readProfile, readSystemLink } from '../../nix/profile.ts';
import {
  type JournalContents,
  type JournalRecord,
  lastOfEach,
  readAgentJournal,
  readJournal,
} from '../../state/journal.ts';
import { readKeyring } from '../../state/keyring.ts';
import { listOutbox } from '../../state/outbox.ts';
import { type CollectedParts, readParts } from '../../state/parts.ts';
import { runsSystem } from '../machine/facts.ts';
import { readHeld } from '../machine/held.ts';
import { floorDirectoryOf } from '../machine/machine.ts';
import { findPending } from '../machine/pending.ts';
import { readFloorHere } from './known-floor.ts';
import { type StagedStatus, stagedStatus } from './staged.ts';
import { findStanding, type Standing } from './standing.ts';
import {
  confirmWithin,
  healthLine,
  mediaOf,
  type PolicyInShort,
  policyInShort,
  progressOf,
  type StepProgress,
} from './status-parts.ts';
import { readWaiting } from './waiting.ts';

export interface Status {
  readonly schema: 1;
  readonly running: string | undefined;
  readonly booted: string | undefined;
  readonly profile: string | undefined;
  readonly generation: number | undefined;
  /** The profile is not what is running: a restart (or a switch) is due. */
  readonly pending: boolean;
  /** The system that waits for a restart or a confirmation, as its run last recorded it. */
  readonly awaiting:
    | {
        readonly sequence: number | undefined;
        readonly detail: string;
        /** How long a person has to confirm. */
        readonly confirmWithin: string | undefined;
      }
    | undefined;
  /** The release that is in the store and waits for its time. */
  readonly staged: StagedStatus | undefined;
  /** What only a restart brings from the installed system. */
  readonly restartChanges: readonly string[];
  readonly floor: { readonly sequence: number; readonly createdAt: string } | undefined;
  /** Why the floor can’t be trusted: nothing is taken until an operator has adopted one. */
  readonly floorLost: string | undefined;
  /** Releases that a person went back from or marked as bad: not taken (again). */
  readonly held: readonly HeldRelease[];
  /** Why the list of held releases is unknown: nothing is taken. */
  readonly heldLost: string | undefined;
  /** Version of the newest accepted keyring, whether that or the policy’s keys are in effect. */
  readonly keyring: number | undefined;
  readonly last: JournalRecord | undefined;
  /** A run that was begun and has not ended, with nobody at work on it. */
  readonly standing: Standing | undefined;
  /** Of the run in progress. */
  readonly progress: StepProgress | undefined;
  /** The last run’s health checks, on one line. */
  readonly health: string | undefined;
  /** Where media are mounted, below the folders of the settings and by nixmaker. */
  readonly media: readonly string[];
  readonly policy: PolicyInShort | undefined;
  /** Files in the inbox that have not been archived. */
  readonly waiting: readonly string[];
  /** What waits there, on media and in carriers’ folders, and what can’t be read: why, since when, and when it is tried again. */
  readonly waits: readonly Wait[];
  /** How many more there are than those named. */
  readonly moreWaits: number;
  /** A release that comes on several media, as far as it is here. */
  readonly parts: CollectedParts | undefined;
  /** Receipts that have yet to leave this machine: no medium or carrier’s folder could be written to. */
  readonly receiptsWaiting: number;
  readonly disks: readonly DiskRow[];
  /** Journal lines that could not be read, and how many of them come from a newer nixmaker. */
  readonly unreadable: number;
  readonly newer?: number;
}

export async function readStatus(settings: Settings): Promise<Status> {
  const [running, booted, profile, { floor, doubt }, journal, waiting, disks] = await Promise.all([
    readSystemLink(settings.currentSystem),
    readSystemLink(settings.bootedSystem),
    readProfile(settings.profile),
    readFloorHere(settings),
    readAllJournals(settings),
    readWaiting(settings),
    listDisks(),
  ]);
  const { held, heldDoubt } = await readHeld(floorDirectoryOf(settings), floor);
  const awaiting = findPending(journal.records);
  const installed = profile.toplevel;
  const last = journal.records.at(-1);
  return {
    schema: 1,
    running,
    booted,
    profile: profile.toplevel,
    generation: profile.generation,
    pending: installed !== undefined && !(await runsSystem(running, installed)),
    awaiting:
      awaiting === undefined
        ? undefined
        : {
            sequence: awaiting.sequence,
            detail: String(awaiting.detail ?? ''),
            confirmWithin: await confirmWithin(awaiting),
          },
    staged: await stagedStatus({ floorDirectory: floorDirectoryOf(settings) }),
    restartChanges: await findStartChanges(booted, installed),
    floor: floor === undefined ? undefined : { sequence: floor.sequence, createdAt: floor.createdAt },
    floorLost: doubt,
    held,
    heldLost: heldDoubt,
    keyring: (await readKeyring(floorDirectoryOf(settings)))?.version,
    last,
    standing: await findStanding(settings, async () => (await readAllJournals(settings)).records),
    progress: await progressOf(settings, last),
    health: healthLine(last),
    media: await mediaOf(settings),
    policy: await policyInShort(settings),
    waiting: waiting.files,
    waits: waiting.waits,
    moreWaits: waiting.more,
    parts: await readParts(settings.stateDirectory),
    receiptsWaiting: await countReceipts(settings),
    disks,
    ...unreadOf([journal]),
  };
}

/** The places this user may look at. */
const countReceipts = (settings: Settings): Promise<number> =>
  listOutbox(floorDirectoryOf(settings)).then((names) => names.length, insteadOf(['EACCES'], 0));

export const journalFolders = (settings: Settings): string[] => [
  ...new Set([floorDirectoryOf(settings), settings.stateDirectory]),
];

/** The agent’s journal and, where root is a separate process, root’s: a run has the same id in both. */
export async function readAllJournals(settings: Settings): Promise<JournalContents> {
  const own = floorDirectoryOf(settings);
  const all = await Promise.all(
    journalFolders(settings).map((folder) =>
      folder === own ? readJournal(folder) : readAgentJournal(folder),
    ),
  );
  return {
    // Root’s first; where agent and root are one process there is only one.
    records: mergeJournals(all[0]?.records ?? [], all[1]?.records ?? []),
    ...unreadOf(all),
  };
}

function unreadOf(all: readonly Unread[]): Unread {
  const [unreadable, newer] = (['unreadable', 'newer'] as const).map((key) =>
    all.reduce((sum, journal) => sum + (journal[key] ?? 0), 0),
  ) as [number, number];
  return newer > 0 ? { unreadable, newer } : { unreadable };
}

export interface History {
  readonly schema: 1;
  /** How each run ended, oldest first; a run that has not ended shows its last state. */
  readonly runs: readonly JournalRecord[];
  readonly unreadable: number;
  /** How many of them come from a newer nixmaker. */
  readonly newer?: number;
}

export async function readHistory(settings: Settings): Promise<History> {
  const { records, ...unread } = await readAllJournals(settings);
  return { schema: 1, runs: lastOfEach(records), ...unreadOf([unread]) };
}

/**
 * Counts all runs, including those no longer in the journal. Most are in both journals, under one id, so the higher of the two counts: a
 * counter must never go down.
 */
export async function readTotals(settings: Settings): Promise<Totals> {
  const journals = await Promise.all(journalFolders(settings).map((folder) => readJournal(folder)));
  const all = journals.map(({ records, earlier }) => totalsOf(records, earlier));
  return { states: highest(all.map((t) => t.states)), codes: highest(all.map((t) => t.codes)) };
}

function highest(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const most: Record<string, number> = {};
  for (const [key, count] of counts.flatMap(Object.entries)) most[key] = Math.max(most[key] ?? 0, count);
  return most;
}

/** Every step of the runs that the journal still has in full, and the end of those before; oldest first. */
export async function readEvents(settings: Settings): Promise<readonly JournalRecord[]> {
  return (await readAllJournals(settings)).records;
}
