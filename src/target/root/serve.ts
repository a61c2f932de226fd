/**
 * The root helper: small, without a network, started by a request. It believes nothing the agent says: it verifies the
 * manifest again with keys from root's own policy file, decides again, with root's own floor, and activates only a
 * toplevel that is valid in the store. It runs nothing a bundle supplies but the system's switch-to-configuration.
 */

import type { Manifest } from '../../core/bundle/manifest.ts';
import { NixmakerError } from '../../core/errors.ts';
import { decide } from '../../core/policy/decide.ts';
import { isAtRest } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { findInvalid } from '../../nix/store.ts';
import { verifyManifest } from '../../signing/verify.ts';
import { lastOfEach, readJournal } from '../../state/journal.ts';
import { receiptState, saveReceipt } from '../../state/receipts.ts';
import { type ActivationRequestFile, activationRequests, serveRequests } from '../../state/requests.ts';
import { activate } from '../activate/activate.ts';
import { resumeStopped } from '../activate/resume.ts';
import { gatherFacts } from '../machine/facts.ts';
import type { Machine } from '../machine/machine.ts';
import { Transaction } from '../machine/transaction.ts';
import { endingWhatThrows, withLock } from '../machine/with-lock.ts';
import { serveKeyrings } from '../service/keyrings.ts';
import { endAs, nothingToDo } from '../update/take.ts';
import { requestReboot } from './reboot.ts';
import { serveVouchers } from './vouch.ts';

/** Seconds to wait for a command line that holds the lock. */
const lockWait = '600';

/** Ends what stopped midway, then serves requests until none is left. */
export async function runHelper(machine: Machine): Promise<void> {
  await withLock(machine, () => serveAll(machine), ['--timeout', lockWait]);
  await requestReboot(machine);
}

async function serveAll(machine: Machine): Promise<void> {
  await resumeStopped(machine);
  await completeReceipts(machine);
  await serveKeyrings(machine);
  await serveVouchers(machine);
  const reject = (name: string, detail: string) =>
    machine.emit({ event: 'request-rejected', level: 'warn', name, detail });
  const { runtimeDirectory } = machine.settings;
  const server = {
    reject,
    serve: (request: ActivationRequestFile, acknowledge: () => Promise<void>) =>
      serve(machine, request, acknowledge),
  };
  while ((await serveRequests(runtimeDirectory, activationRequests, server)) > 0);
}

/** Runs whose receipts may be missing: the newest. */
const fewest = 16;

/** A run killed between its last journal line and its receipt has ended, and somebody waits to be told. */
async function completeReceipts(machine: Machine): Promise<void> {
  const { stateDirectory } = machine.settings;
  const { records } = await readJournal(stateDirectory);
  for (const record of lastOfEach(records).slice(-fewest)) {
    if (!isAtRest(record.state)) continue;
    if ((await receiptState(stateDirectory, record.transaction)) === record.state) continue;
    await saveReceipt(stateDirectory, Transaction.resume(machine, record, []).receipt());
  }
}

async function serve(
  machine: Machine,
  request: ActivationRequestFile,
  acknowledge: () => Promise<void>,
): Promise<void> {
  if ((await receiptState(machine.settings.stateDirectory, request.transaction)) !== undefined) {
    // An id is used once: the same again could only be meant to overwrite a receipt.
    machine.emit({
      event: 'request-rejected',
      level: 'warn',
      name: request.transaction,
      detail: 'it was served before',
    });
    return acknowledge();
  }
  const transaction = await Transaction.begin(machine, request.source, request.transaction);
  await acknowledge();
  await endingWhatThrows(machine, { transaction }, () => activateRequest(machine, transaction, request));
}

async function activateRequest(
  machine: Machine,
  transaction: Transaction,
  request: ActivationRequestFile,
): Promise<Receipt> {
  const { operation } = request;
  const verified = verifyManifest(
    Buffer.from(request.manifest, 'base64'),
    Buffer.from(request.signatures, 'base64'),
    machine.trust,
  );
  const { manifest, digest, signedBy } = verified;
  const { host, sequence, downgradeFrom, createdAt, toplevel } = manifest;
  const downgrade = downgradeFrom === undefined ? {} : { downgradeFrom };
  transaction.learn({
    host,
    sequence,
    createdAt,
    manifestDigest: digest,
    toplevel,
    operation,
    signedBy,
    ...downgrade,
  });
  const facts = await gatherFacts(machine, verified, { operation, unattended: true });
  const verdict = decide(manifest, facts, machine.policy);
  if (verdict.verdict === 'refuse' || verdict.verdict === 'defer') return endAs(transaction, verdict);
  await transaction.advance('verified');
  if (verdict.verdict !== 'accept') return transaction.end('committed', { detail: nothingToDo(verdict) });
  await transaction.advance('accepted');
  await requireValid(machine, manifest);
  await transaction.advance('imported');
  await transaction.advance('realised');
  return activate(machine, { transaction, toplevel, operation, unattended: true });
}

/**
 * The agent's word that it has imported is not enough. A path that is valid is what its name says: the daemon has
 * built it, or has checked a signature over it by a key that root trusts.
 */
async function requireValid(machine: Machine, manifest: Manifest): Promise<void> {
  const needed = manifest.content === 'closure' ? manifest.paths.map((p) => p.path) : [];
  const [missing] = await findInvalid(machine.nix, [...needed, manifest.toplevel]);
  if (missing !== undefined) throw new NixmakerError('closure-incomplete', `${missing} is not in the store`);
}
