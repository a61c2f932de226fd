/** What the new machine knows of its own installation: a run that waits for the first start, and the receipt of it for the desk. */
import { statfs } from 'node:fs/promises';
import { manifestSchemaVersion } from '../../core/release/manifest.ts';
import type { HostReceipt } from '../../core/run/host-receipt.ts';
import { readProfile } from '../../nix/profile.ts';
import type { VerifiedManifest } from '../../signing/verify.ts';
import { readFloor } from '../../state/floor.ts';
import { readJournal } from '../../state/journal.ts';
import { learnManifest } from '../machine/decision.ts';
import type { Machine, RootMachine } from '../machine/machine.ts';
import { findPending, supersedePending } from '../machine/pending.ts';
import { Transaction } from '../machine/transaction.ts';
import { closurePaths } from '../root/host-facts.ts';
import { writeReceipts } from '../root/host-receipts.ts';
import { emptyOutbox } from '../root/visit.ts';

export interface Installed {
  readonly verified: VerifiedManifest;
  /** Where the release came from, for people. */
  readonly source: string;
  readonly notices: readonly string[];
}

/** Nothing of it has run: the first start judges it, as it judges any system that was installed for a start (judge-pending.ts). */
export async function recordRun(
  machine: RootMachine,
  { verified, source, notices }: Installed,
): Promise<void> {
  const { records } = await readJournal(machine.floorDirectory);
  if (findPending(records)?.manifestDigest === verified.digest) return;
  const transaction = await Transaction.begin(machine, source);
  learnManifest(transaction, verified, 'boot');
  const { generation } = await readProfile(machine.settings.profile);
  transaction.learn({ bootId: machine.bootId, ...(generation === undefined ? {} : { generation }) });
  for (const text of notices) transaction.notice(text);
  for (const state of ['verified', 'accepted', 'imported', 'realised'] as const)
    await transaction.advance(state);
  await transaction.advance('profile-set');
  await supersedePending(machine, transaction);
  await transaction.advance('boot-entry');
  await transaction.end('pending', {
    detail: 'The system is installed and runs from the first start of this machine.',
  });
}

/** Only what is known: nothing of the live system is the new machine’s. */
async function gatherInstalled(machine: Machine): Promise<HostReceipt['now']> {
  const { settings, floorDirectory, version } = machine;
  const { toplevel, generation } = await readProfile(settings.profile);
  const { floor } = await readFloor(floorDirectory);
  const { bavail, blocks, bsize } = await statfs(settings.profile.replace(/\/[^/]*$/, ''));
  return {
    installed: toplevel,
    generation,
    floor: floor?.sequence,
    reads: [manifestSchemaVersion],
    versions: { nixmaker: version },
    space: [{ path: '/nix/store', freeBytes: bavail * bsize, totalBytes: blocks * bsize }],
    paths: toplevel === undefined ? undefined : await closurePaths(machine, toplevel),
  };
}

/** In the new machine’s outbox, from which any stick takes it home. */
export const signReceipt = (machine: RootMachine): Promise<void> =>
  writeReceipts(machine, { findings: [], claimed: [], gather: gatherInstalled });

/** Has a medium written to: it is told where it can be. */
export type Reach = (write: (root: string) => Promise<void>) => Promise<void>;

/**
 * @param medium where it is mounted
 * @param reach by default it is writable there
 * @throws NixmakerError `medium-read-only`, `medium-full`, `medium-failing`
 */
export const deliverReceipt = (
  machine: RootMachine,
  medium: string,
  reach: Reach = (write) => write(medium),
): Promise<void> => emptyOutbox(machine, medium, reach);
