/**
 * One release is staged at a time, and nothing lies about that is not: what a newer one has superseded goes, and what a cut left behind. A
 * release whose installation was cut off or put back for something that passes is staged once more, because nobody would bring it again.
 *
 * What can’t be settled now is told, and settled next time. Threat: a full disk, or one bad sector, on which root would serve no request any
 * more, not even for room.
 */
import { catalogue, isPassing } from '../../core/catalogue.ts';
import { messageOf, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { isAtRest } from '../../core/run/lifecycle.ts';
import { type JournalRecord, lastOfEach, readJournal } from '../../state/journal.ts';
import {
  listStaged,
  readStagedRecord,
  removeStaged,
  type StagedRecord,
  writeStagedRecord,
} from '../../state/staged.ts';
import { learnManifest } from '../machine/decision.ts';
import { dropStagedRoots, listStagedRoots } from '../machine/import-roots.ts';
import type { RootMachine } from '../machine/machine.ts';
import { allStaged, findStaged, readStagedHead } from '../machine/staged.ts';
import { Transaction } from '../machine/transaction.ts';
import { clearDecayed } from './decayed.ts';

/** How often one release is staged once more. Threat: one that brings the machine down each time. */
const mostTimes = 3;

/** The lock must be held, and what was cut off must be settled. */
export async function settleStaged(machine: RootMachine): Promise<void> {
  const { records } = await readJournal(machine.settings.stateDirectory);
  const standing = allStaged(records);
  const newest = standing.at(-1);
  for (const record of standing.slice(0, -1))
    await attempt(machine, () =>
      supersede(machine, record, `Sequence ${newest?.sequence} was staged after it.`),
    );
  for (const digest of await digestsThere(machine))
    if (digest !== newest?.manifestDigest)
      await attempt(machine, () =>
        settleOne(machine, digest, { last: lastOfEach(records), isFree: newest === undefined }),
      );
}

/** Roots as well: they are there before anything else is, and a cut may have left nothing but them. */
async function digestsThere(machine: RootMachine): Promise<Set<string>> {
  const digests = new Set<string>();
  for (const list of [() => listStaged(machine.floorDirectory), () => listStagedRoots(machine)])
    await attempt(machine, async () => {
      for (const digest of await list()) digests.add(digest);
    });
  return digests;
}

async function attempt({ emit }: Pick<RootMachine, 'emit'>, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    emit({ event: 'staged-not-settled', level: 'warn', detail: messageOf(error) });
  }
}

/** Ends the run of a release that is staged. Its files go when it is settled. */
async function supersede(machine: RootMachine, record: JournalRecord, detail: string): Promise<void> {
  await Transaction.resume(machine, record, ['staged']).end('superseded', { detail });
}

/** For a newer release that finds no room, if the policy says so. @returns whether one has gone */
export async function giveWay(machine: RootMachine): Promise<boolean> {
  if (!machine.policy.stage.giveWay) return false;
  const run = findStaged((await readJournal(machine.floorDirectory)).records);
  if (run === undefined) return false;
  await supersede(machine, run, 'It was dropped to make room for another release.');
  await settleStaged(machine);
  return true;
}

interface Situation {
  /** Where each run stands. */
  readonly last: readonly JournalRecord[];
  /** Nothing else is staged. */
  readonly isFree: boolean;
}

async function settleOne(machine: RootMachine, digest: string, { last, isFree }: Situation): Promise<void> {
  const record = await readStagedRecord(machine.floorDirectory, digest);
  const run = last.find((r) => r.transaction === record?.transaction);
  // It is being installed.
  if (run !== undefined && !isAtRest(run.state)) return;
  const isAgain = isFree && machine.policy.stage.allow && run !== undefined && hasPassed(run);
  if (isAgain && record !== undefined && record.times < mostTimes) {
    if (await stageAgain(machine, digest, { record, run })) return;
  }
  await dropStagedRoots(machine, digest);
  // Before its files go: if we are killed here, it is settled once more.
  await clearDecayed(machine);
  await removeStaged(machine.floorDirectory, digest);
  machine.emit({ event: 'staged-dropped', digest, transaction: record?.transaction });
}

/** Whether it ended without any fault of the release. */
function hasPassed({ state, code }: JournalRecord): boolean {
  if (state !== 'rolled-back' && state !== 'deferred') return false;
  return (
    code !== undefined && Object.hasOwn(catalogue, code) && isPassing(catalogue[code as ReasonCode].exit)
  );
}

/** A run of its own: the one before has ended. @returns whether it is staged */
async function stageAgain(
  machine: RootMachine,
  digest: string,
  { record, run }: { readonly record: StagedRecord; readonly run: JournalRecord },
): Promise<boolean> {
  const verified = await readStagedHead(machine, digest).then(
    (found) => found.verified,
    (error: unknown) => {
      if (error instanceof NixmakerError) return undefined;
      throw error;
    },
  );
  if (verified === undefined) return false;
  const transaction = await Transaction.begin(machine, record.source);
  await writeStagedRecord(machine.floorDirectory, digest, {
    ...record,
    ...{ transaction: transaction.id, times: record.times + 1 },
    ...{ code: run.code ?? '', detail: String(run.detail ?? ''), at: machine.clock.now().toISOString() },
  });
  learnManifest(transaction, verified, machine.policy.operation);
  transaction.learn({ bootId: machine.bootId });
  for (const state of ['verified', 'accepted', 'imported', 'realised'] as const)
    await transaction.advance(state);
  await transaction.end('staged', { code: run.code as ReasonCode, detail: String(run.detail ?? '') });
  return true;
}
