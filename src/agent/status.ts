/** What `status` and `history` say. Reads only; needs neither policy nor a running agent. */
import { findStartChanges } from '../activation/inspect.ts';
import type { Settings } from '../core/settings.ts';
import { listInbox } from '../media/inbox.ts';
import { type DiskRow, listDisks } from '../media/space.ts';
import { readProfile, readSystemLink } from '../nix/profile.ts';
import { type JournalContents, type JournalRecord, lastOfEach, readJournal } from '../state/journal.ts';
import { readKeyring } from '../state/keyring.ts';
import { runsSystem } from './facts.ts';
import { readKnownFloor } from './floor.ts';
import { floorDirectoryOf } from './machine.ts';
import { findPending } from './pending.ts';

export interface Status {
  readonly schema: 1;
  readonly running: string | undefined;
  readonly booted: string | undefined;
  readonly profile: string | undefined;
  readonly generation: number | undefined;
  /** The profile is not what runs: a restart (or a switch) is due. */
  readonly pending: boolean;
  /** The system that waits for a restart or a confirmation: what its run said last. */
  readonly awaiting: { readonly sequence: number | undefined; readonly detail: string } | undefined;
  /** What of the installed system only a restart brings. */
  readonly restartChanges: readonly string[];
  readonly floor: { readonly sequence: number; readonly createdAt: string } | undefined;
  /** Why the floor can’t be believed: nothing is taken until an operator has adopted one. */
  readonly floorLost: string | undefined;
  /** Version of the keyring that has come, whether it counts or the policy’s keys do. */
  readonly keyring: number | undefined;
  readonly last: JournalRecord | undefined;
  /** Files in the inbox that have not been settled. */
  readonly waiting: readonly string[];
  readonly disks: readonly DiskRow[];
  /** Journal lines that could not be read. */
  readonly unreadable: number;
}

export async function readStatus(settings: Settings): Promise<Status> {
  const [running, booted, profile, { floor, doubt }, journal, waiting, disks] = await Promise.all([
    readSystemLink(settings.currentSystem),
    readSystemLink(settings.bootedSystem),
    readProfile(settings.profile),
    readKnownFloor(floorDirectoryOf(settings)),
    readAllJournals(settings),
    listInbox(settings.inbox),
    listDisks(),
  ]);
  const awaiting = findPending(journal.records);
  const installed = profile.toplevel;
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
        : { sequence: awaiting.sequence, detail: String(awaiting.detail ?? '') },
    restartChanges: await findStartChanges(booted, installed),
    floor: floor === undefined ? undefined : { sequence: floor.sequence, createdAt: floor.createdAt },
    floorLost: doubt,
    keyring: (await readKeyring(floorDirectoryOf(settings)))?.version,
    last: journal.records.at(-1),
    waiting: waiting.map((c) => c.path),
    disks,
    unreadable: journal.unreadable,
  };
}

/** The agent's journal and, where the privileges are apart, the helper's: one run has the same id in both. */
async function readAllJournals(settings: Settings): Promise<JournalContents> {
  const folders = [...new Set([floorDirectoryOf(settings), settings.stateDirectory])];
  const all = await Promise.all(folders.map(readJournal));
  return {
    records: all.flatMap((j) => j.records).sort((a, b) => (a.at < b.at ? -1 : a.at > b.at ? 1 : 0)),
    unreadable: all.reduce((sum, j) => sum + j.unreadable, 0),
  };
}

export interface History {
  readonly schema: 1;
  /** How each run ended, oldest first; a run that has not ended shows its last state. */
  readonly runs: readonly JournalRecord[];
  readonly unreadable: number;
}

export async function readHistory(settings: Settings): Promise<History> {
  const { records, unreadable } = await readAllJournals(settings);
  return { schema: 1, runs: lastOfEach(records), unreadable };
}
