/**
 * Requests that are answered without a trace in the journal. Threat: a compromised agent asks endlessly, and root’s journal, which is read
 * at every start, grows with each request.
 */
import { catalogue } from '../../core/catalogue.ts';
import { exitCodes, type ReasonCode } from '../../core/errors.ts';
import { type Receipt, receiptSchemaVersion } from '../../core/run/receipt.ts';
import type { VerifiedManifest } from '../../signing/verify.ts';
import { lastOfEach, readJournal } from '../../state/journal.ts';
import { saveReceipt } from '../../state/receipts.ts';
import type { ActivationRequestFile, Attachments } from '../../state/requests.ts';
import { countUnverified } from '../../state/unverified.ts';
import { nothingToDo } from '../machine/decision.ts';
import type { RootMachine } from '../machine/machine.ts';
import { findStaged } from '../machine/staged.ts';
import { outcomeOf } from '../machine/transaction.ts';
import { tellRejected } from './serve-requests.ts';
import { decideAsRoot, type Requested, readRequested } from './verify.ts';

type Outcome = { readonly detail: string } & (
  | { readonly state: 'refused' | 'deferred' | 'failed'; readonly code: ReasonCode }
  | { readonly state: 'committed' }
);

/** A request that fails verification leaves only a count. @returns undefined if it did; it has then been answered */
export async function verifyOrAnswer(
  machine: RootMachine,
  request: ActivationRequestFile,
  attached: Attachments,
): Promise<Requested | undefined> {
  try {
    return await readRequested(machine, attached);
  } catch (error) {
    const { code, detail } = outcomeOf(error);
    const state = catalogue[code].exit === exitCodes.badBundle ? 'refused' : 'failed';
    await answer(machine, request, { state, code, detail });
    const at = machine.clock.now().toISOString();
    await countUnverified(machine.settings.stateDirectory, { at, code });
    return undefined;
  }
}

/**
 * Whether the same manifest was refused or deferred for the same reason last time, or is staged. It then gets the same answer, and the line
 * already in the journal covers both.
 */
export async function answerRepeat(
  machine: RootMachine,
  request: ActivationRequestFile,
  verified: VerifiedManifest,
): Promise<boolean> {
  const { operation } = machine.policy;
  const { records } = await readJournal(machine.settings.stateDirectory);
  if (findStaged(records)?.manifestDigest === verified.digest)
    return answerStaged(machine, request, verified);
  const last = lastOfEach(records).findLast((r) => r.manifestDigest === verified.digest);
  if (last === undefined || last.operation !== operation) return false;
  if (last.state !== 'refused' && last.state !== 'deferred') return false;
  const verdict = await decideAsRoot(machine, verified);
  if (verdict.verdict !== 'refuse' && verdict.verdict !== 'defer') return false;
  const state = verdict.verdict === 'refuse' ? 'refused' : 'deferred';
  if (state !== last.state || verdict.code !== last.code) return false;
  await answer(machine, request, { state, code: verdict.code, detail: verdict.detail });
  return true;
}

/** What is staged is installed by its own run. */
async function answerStaged(
  machine: RootMachine,
  request: ActivationRequestFile,
  verified: VerifiedManifest,
): Promise<boolean> {
  const verdict = await decideAsRoot(machine, verified);
  if (verdict.verdict !== 'already-staged') return false;
  await answer(machine, request, { state: 'committed', detail: nothingToDo(verdict) });
  return true;
}

/** What the agent waits for, in the form it would have at the end of a run. */
async function answer(
  machine: RootMachine,
  { transaction, source }: ActivationRequestFile,
  outcome: Outcome,
): Promise<void> {
  const { operation } = machine.policy;
  const at = machine.clock.now().toISOString();
  const receipt: Receipt = { schema: receiptSchemaVersion, transaction, at, source, operation, ...outcome };
  const why = outcome.state === 'committed' ? outcome.state : outcome.code;
  tellRejected(machine, transaction, `${why}: ${outcome.detail}`);
  await saveReceipt(machine.settings.stateDirectory, receipt);
}
