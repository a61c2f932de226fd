/**
 * Keeping a release in the store until its time comes, and installing it then, without the medium that brought it. What lies staged is
 * trusted no more than what has just come: it is verified, decided on and compared with the store again each time.
 *
 * Invariants: the roots and files are there before the journal says `staged`, and go after it says otherwise. Whatever was cut off in
 * between is found by `settleStaged`.
 */
import { catalogue, isPassing } from '../../core/catalogue.ts';
import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { Verdict } from '../../core/policy/decide.ts';
import { type StagedWait, stagingWait } from '../../core/policy/stage.ts';
import { readIndexOf } from '../../core/release/signed-index.ts';
import { hasBegunToChange } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { manifestDigest } from '../../signing/verify.ts';
import { type JournalRecord, readJournal } from '../../state/journal.ts';
import { saveReceipt } from '../../state/receipts.ts';
import { stagedRequests } from '../../state/requests.ts';
import { readStagedFile, readStagedRecord, writeStaged, writeStagedRecord } from '../../state/staged.ts';
import { type ActivationRequest, activate } from '../activate/activate.ts';
import { runAfterHook } from '../activate/after-commit.ts';
import { decideHere, learnManifest, nothingToDo } from '../machine/decision.ts';
import { rootStaged } from '../machine/import-roots.ts';
import type { RootMachine } from '../machine/machine.ts';
import type { SignedRelease } from '../machine/root.ts';
import { findStaged, readStagedHead } from '../machine/staged.ts';
import { outcomeOf, Transaction } from '../machine/transaction.ts';
import { requireNotDecayed } from './decayed.ts';
import { whileHeld } from './require-signed.ts';
import { serveAll } from './serve-requests.ts';
import { settleStaged } from './settle-staged.ts';

export interface ReleaseToStage {
  readonly transaction: Transaction;
  /** Compared with the store, and held there until this returns. */
  readonly release: SignedRelease;
}

/** Takes the place of what was staged before. */
export async function stage(
  machine: RootMachine,
  { transaction, release: { verified, head, index } }: ReleaseToStage,
  wait: StagedWait,
): Promise<Receipt> {
  const { digest, manifest } = verified;
  await rootStaged(machine, digest, manifest);
  await writeStaged(machine.floorDirectory, digest, {
    manifest: head.manifestBytes,
    signatures: head.signatureBytes,
    index: Buffer.from(index.bytes.buffer, index.bytes.byteOffset, index.bytes.length),
    record: {
      ...{ schema: 1, transaction: transaction.id, source: transaction.source, times: 0 },
      ...{ ...wait, at: machine.clock.now().toISOString() },
    },
  });
  const receipt = await transaction.end('staged', wait);
  await settleStaged(machine);
  return receipt;
}

/** Activates a release, or stages it if it has to wait for a while. */
export async function activateOrStage(
  machine: RootMachine,
  request: ActivationRequest & ReleaseToStage,
): Promise<Receipt> {
  try {
    return await activate(machine, request);
  } catch (error) {
    const wait = stagingWait(machine.policy, outcomeOf(error));
    if (wait === undefined || hasBegunToChange(request.transaction.state)) throw error;
    return stage(machine, request, wait);
  }
}

/**
 * What becomes of the staged release now.
 * @param asked the request for it, if there was one
 * @returns its receipt, in state `staged` if it waits on; undefined if none is staged
 */
export async function activateStaged(machine: RootMachine, asked?: string): Promise<Receipt | undefined> {
  await settleStaged(machine);
  const run = findStaged((await readJournal(machine.floorDirectory)).records);
  if (run?.manifestDigest === undefined) return undefined;
  const transaction = Transaction.resume(machine, run, ['staged']);
  const staged = { transaction, digest: run.manifestDigest, asked };
  const receipt = await endingOrKeeping(machine, staged, () => activateNow(machine, staged));
  await settleStaged(machine);
  return receipt;
}

/** Serves the agent’s requests. Each stays until it is answered: if we are killed in between, it is served again. */
export function serveStaged(machine: RootMachine): Promise<void> {
  return serveAll(machine, stagedRequests, async ({ transaction }, { acknowledge }) => {
    try {
      await activateStaged(machine, transaction);
      await runAfterHook(machine);
    } finally {
      await acknowledge();
    }
  });
}

/** Drops it if it would no longer be taken, and installs nothing. */
export async function reviewStaged(machine: RootMachine): Promise<void> {
  await settleStaged(machine);
  const run = findStaged((await readJournal(machine.floorDirectory)).records);
  if (run?.manifestDigest === undefined || !(await isOver(machine, run))) return;
  await activateStaged(machine);
}

/** Only what is certain: if nobody can tell now, its next turn will. */
async function isOver(
  machine: RootMachine,
  { manifestDigest: digest = '' }: JournalRecord,
): Promise<boolean> {
  try {
    const { verified } = await readStagedHead(machine, digest);
    const { verdict } = await decideStaged(machine, verified);
    return verdict !== 'accept' && verdict !== 'defer';
  } catch (error) {
    return error instanceof NixmakerError && !saysNothing(error.code);
  }
}

interface StagedRun {
  readonly transaction: Transaction;
  readonly digest: string;
  readonly asked: string | undefined;
}

const decideStaged = (machine: RootMachine, verified: Parameters<typeof decideHere>[1]): Promise<Verdict> =>
  decideHere(machine, verified, { operation: machine.policy.operation, unattended: true, isStaged: true });

async function activateNow(machine: RootMachine, { transaction, digest }: StagedRun): Promise<Receipt> {
  const { operation } = machine.policy;
  const { verified } = await readStagedHead(machine, digest);
  const { manifest } = verified;
  learnManifest(transaction, verified, operation);
  const verdict = await decideStaged(machine, verified);
  if (verdict.verdict === 'refuse' || verdict.verdict === 'defer')
    throw new NixmakerError(verdict.code, verdict.detail);
  if (verdict.verdict !== 'accept') return transaction.end('committed', { detail: nothingToDo(verdict) });
  const bytes = await readStagedFile(machine.floorDirectory, digest, 'index');
  const index = readIndexOf(manifest, bytes, manifestDigest(bytes));
  await requireNotDecayed(machine, index);
  return whileHeld(machine, { transaction, manifest, index }, () =>
    activate(machine, { transaction, toplevel: manifest.toplevel, operation, unattended: true }),
  );
}

/** What is only not possible now keeps it waiting; anything else ends its run, unless the machine is being changed already. */
async function endingOrKeeping(
  machine: RootMachine,
  staged: StagedRun,
  work: () => Promise<Receipt>,
): Promise<Receipt> {
  const { transaction } = staged;
  try {
    return await work();
  } catch (error) {
    if (hasBegunToChange(transaction.state)) throw error;
    const outcome = asLost(outcomeOf(machine.interruption?.fault ?? error));
    return saysNothing(outcome.code)
      ? keep(machine, staged, outcome)
      : transaction.end(endOf(machine, transaction, outcome.code), outcome);
  }
}

/** Passes by itself, or is around the release and not in it: nobody would bring it again. `stage.days` bounds how often it is tried. */
const saysNothing = (code: ReasonCode): boolean =>
  isPassing(catalogue[code].exit) || ['nix-failed', 'io-error', 'internal'].includes(code);

/** To nobody’s surprise where something newer was installed; a fault where it is ours. */
function endOf(
  { policy }: RootMachine,
  { known }: Transaction,
  code: ReasonCode,
): 'superseded' | 'refused' | 'failed' {
  const { exit } = catalogue[code];
  const isBelow = (known.sequence ?? 0) < policy.minimumSequence;
  if (code === 'sequence-older' && !isBelow) return 'superseded';
  return exit === catalogue.expired.exit || exit === catalogue['bundle-altered'].exit ? 'refused' : 'failed';
}

interface Outcome {
  readonly code: ReasonCode;
  readonly detail: string;
}

/**
 * A bundle that is damaged is to be built or copied again, and what runs to be repaired; this one was whole when it came, and goes. What runs
 * lacks as well, the next try with the bundle says.
 */
const asLost = (outcome: Outcome): Outcome =>
  ['closure-incomplete', 'bundle-altered', 'store-corrupt'].includes(outcome.code)
    ? { code: 'staged-lost', detail: outcome.detail }
    : outcome;

/** The journal has its one line already: what is asked about for weeks must not fill it. */
async function keep(
  machine: RootMachine,
  { transaction, digest, asked }: StagedRun,
  { code, detail }: Outcome,
): Promise<Receipt> {
  const { floorDirectory, clock } = machine;
  const before = await readStagedRecord(floorDirectory, digest);
  transaction.emit('staged-waits', { code, detail }, before?.code === code ? 'debug' : 'info');
  await writeStagedRecord(floorDirectory, digest, {
    ...{ schema: 1, transaction: transaction.id, source: transaction.source, times: before?.times ?? 0 },
    ...given({ code, detail, at: clock.now().toISOString(), answered: asked }),
  });
  const receipt: Receipt = { ...transaction.receipt(), code, detail };
  await saveReceipt(machine.settings.stateDirectory, receipt);
  return receipt;
}
