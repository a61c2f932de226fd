/** The system that is installed and waits for a restart, as the journal tells. */
import type { PendingSystem } from '../core/decide.ts';
import { operation as operationSchema } from '../core/schema.ts';
import { listGenerations, type ProfileTarget, readProfile } from '../nix/profile.ts';
import { type JournalRecord, lastOfEach, readJournal } from '../state/journal.ts';
import type { Machine } from './machine.ts';
import { Transaction } from './transaction.ts';

const findAll = (records: readonly JournalRecord[]) =>
  lastOfEach(records).filter((r) => r.state === 'pending');

/** The newest; older ones are being superseded. */
export function findPending(records: readonly JournalRecord[]): JournalRecord | undefined {
  return findAll(records).at(-1);
}

/** As the decision wants it. */
export function pendingSystem(records: readonly JournalRecord[], bootId: string): PendingSystem | undefined {
  const found = findPending(records);
  if (found?.sequence === undefined || found.manifestDigest === undefined) return undefined;
  const { sequence, manifestDigest } = found;
  const operation = operationSchema.safeParse(found.operation);
  return {
    sequence,
    manifestDigest,
    operation: operation.success ? operation.data : 'boot',
    restarted: found.bootId !== bootId,
  };
}

/** A system that was never started into is nothing to go back to: what it would have gone back to is. */
export async function knownGood({ settings }: Machine): Promise<ProfileTarget> {
  const profile = await readProfile(settings.profile);
  const { records } = await readJournal(settings.stateDirectory);
  const pending = findPending(records);
  if (pending === undefined || pending.toplevel !== profile.toplevel) return profile;
  const generation = typeof pending.previousGeneration === 'number' ? pending.previousGeneration : undefined;
  if (generation === undefined) return profile;
  const toplevel = (await listGenerations(settings.profile)).get(generation);
  return toplevel === undefined || toplevel !== pending.previousToplevel ? profile : { generation, toplevel };
}

/**
 * Ends the runs whose systems another one is being installed over. Not before that one’s own intent is on disk: until
 * then somebody has to judge what the profile points to.
 */
export async function supersedePending(machine: Machine, by: Transaction): Promise<void> {
  const { records } = await readJournal(machine.settings.stateDirectory);
  for (const record of findAll(records)) {
    if (record.transaction === by.id) continue;
    const detail = `${by.source} was installed before the machine was restarted.`;
    await Transaction.resume(machine, record, []).end('superseded', { detail });
  }
}
