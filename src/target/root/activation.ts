/**
 * Activates what the agent has brought into the store: only what passes root’s own examination, and only a toplevel that is valid there.
 * Nothing from a bundle is run except the system’s switch-to-configuration.
 */
import { toStage } from '../../core/policy/stage.ts';
import { isAtRest } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { lastOfEach, readJournal } from '../../state/journal.ts';
import { receiptState, saveReceipt } from '../../state/receipts.ts';
import {
  type ActivationRequestFile,
  type Attachments,
  activationRequests,
  type Serving,
} from '../../state/requests.ts';
import { runAfterHook } from '../activate/after-commit.ts';
import { endAs, learnManifest, nothingToDo } from '../machine/decision.ts';
import type { RootMachine } from '../machine/machine.ts';
import { Transaction } from '../machine/transaction.ts';
import { endingWhatThrows } from '../machine/with-lock.ts';
import { whileHeld } from './require-signed.ts';
import { serveAll, tellRejected } from './serve-requests.ts';
import { activateOrStage, stage } from './staged.ts';
import { answerRepeat, verifyOrAnswer } from './unrecorded.ts';
import { decideAsRoot, type Requested, readRequestedIndex } from './verify.ts';

/** Serves the agent’s requests. */
export function serveActivations(machine: RootMachine): Promise<void> {
  return serveAll(machine, activationRequests, (request, served) => serve(machine, request, served));
}

/** Runs whose receipts may be missing: only the newest. */
const fewest = 16;

/** A run killed between its last journal line and its receipt has ended, but somebody is still waiting to be told. */
export async function completeReceipts(machine: RootMachine): Promise<void> {
  const { stateDirectory } = machine.settings;
  const { records } = await readJournal(stateDirectory);
  for (const record of lastOfEach(records).slice(-fewest)) {
    if (!isAtRest(record.state)) continue;
    if ((await receiptState(stateDirectory, record.transaction)) === record.state) continue;
    await saveReceipt(stateDirectory, Transaction.resume(machine, record, []).receipt());
  }
}

async function serve(
  machine: RootMachine,
  request: ActivationRequestFile,
  { acknowledge, attached }: Serving,
): Promise<void> {
  if ((await receiptState(machine.settings.stateDirectory, request.transaction)) !== undefined) {
    // An id is used once: reusing it could only serve to overwrite a receipt.
    tellRejected(machine, request.transaction, 'it was already served');
    return acknowledge();
  }
  const requested = await verifyOrAnswer(machine, request, attached);
  if (requested === undefined || (await answerRepeat(machine, request, requested.verified)))
    return acknowledge();
  const transaction = await Transaction.begin(machine, request.source, { id: request.transaction });
  await acknowledge();
  await endingWhatThrows(machine, { transaction }, () =>
    activateRequested(machine, transaction, { ...requested, attached }),
  );
  await runAfterHook(machine);
}

interface Attached extends Requested {
  readonly attached: Attachments;
}

/**
 * The operation is the one in root’s own policy. Threat: a compromised agent asks for `test`, which the policy allows a person at the
 * machine: no approval would be asked for, no health check made, and its failure would be held against the genuine release.
 */
async function activateRequested(
  machine: RootMachine,
  transaction: Transaction,
  { verified, head, attached }: Attached,
): Promise<Receipt> {
  const { operation } = machine.policy;
  const { manifest } = verified;
  learnManifest(transaction, verified, operation);
  const verdict = await decideAsRoot(machine, verified);
  const wait = toStage(machine.policy, verdict, { unattended: true });
  const isStopped = verdict.verdict === 'refuse' || verdict.verdict === 'defer';
  if (isStopped && wait === undefined) return endAs(transaction, verdict);
  await transaction.advance('verified');
  if (!isStopped && verdict.verdict !== 'accept')
    return transaction.end('committed', { detail: nothingToDo(verdict) });
  const index = await readRequestedIndex(verified, attached);
  await transaction.advance('accepted');
  return whileHeld(machine, { transaction, manifest, index }, async () => {
    await transaction.advance('imported');
    await transaction.advance('realised');
    const release = { verified, head, index };
    if (wait !== undefined) return stage(machine, { transaction, release }, wait);
    const { toplevel } = manifest;
    return activateOrStage(machine, { transaction, toplevel, operation, unattended: true, release });
  });
}
