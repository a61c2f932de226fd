/** The system that is installed and waits for a restart, according to the journal. */
import type { PendingSystem } from '../../core/policy/decide.ts';
import { type Operation, operation as operationSchema } from '../../core/schema.ts';
import type { StorePath } from '../../core/store-path.ts';
import { listGenerations, type ProfileTarget } from '../../nix/profile.ts';
import { type JournalRecord, lastOfEach, readJournal } from '../../state/journal.ts';
import type { Machine } from './machine.ts';
import { Transaction } from './transaction.ts';

const findAll = (records: readonly JournalRecord[]) =>
  lastOfEach(records).filter((r) => r.state === 'pending');

/** The newest; older ones are being superseded. */
export function findPending(records: readonly JournalRecord[]): JournalRecord | undefined {
  return findAll(records).at(-1);
}

/** In the form the decision expects. */
export function pendingSystem(records: readonly JournalRecord[], bootId: string): PendingSystem | undefined {
  const found = findPending(records);
  if (found?.sequence === undefined || found.manifestDigest === undefined) return undefined;
  const { sequence, manifestDigest } = found;
  return { sequence, manifestDigest, operation: operationOf(found), restarted: found.bootId !== bootId };
}

/** The operation requested when the system was installed. */
export function operationOf({ operation }: JournalRecord): Operation {
  const parsed = operationSchema.safeParse(operation);
  return parsed.success ? parsed.data : 'boot';
}

/** Whether the machine is running a rolled-back system instead of the one installed. */
export function runsRolledBack(
  records: readonly JournalRecord[],
  { running, installed }: { running: StorePath | undefined; installed: StorePath | undefined },
): boolean {
  if (running === undefined || running === installed) return false;
  return lastOfEach(records).some((r) => r.state === 'rolled-back' && r.toplevel === running);
}

/** A system that was never booted is nothing to go back to; what it would have gone back to is. */
export async function rollbackTarget(
  { settings }: Pick<Machine, 'settings'>,
  profile: ProfileTarget,
): Promise<ProfileTarget> {
  const { records } = await readJournal(settings.stateDirectory);
  const pending = findPending(records);
  if (pending === undefined || pending.toplevel !== profile.toplevel) return profile;
  const generation = typeof pending.previousGeneration === 'number' ? pending.previousGeneration : undefined;
  if (generation === undefined) return profile;
  const toplevel = (await listGenerations(settings.profile)).get(generation);
  return toplevel === undefined || toplevel !== pending.previousToplevel ? profile : { generation, toplevel };
}

/**
 * Ends the runs whose systems are being replaced by another installation. Not before the intent of that installation is on disk: until
 * then, what the profile points to still has to be judged.
 */
export async function supersedePending(machine: Machine, by: Transaction): Promise<void> {
  const { records } = await readJournal(machine.settings.stateDirectory);
  for (const record of findAll(records)) {
    if (record.transaction === by.id) continue;
    const detail = `${by.source} was installed before the machine was restarted.`;
    await Transaction.resume(machine, record, []).end('superseded', { detail });
  }
}
