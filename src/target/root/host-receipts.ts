/** Writes receipts: one for each run the desk has not heard of, the newest including the machine’s state. Root’s work. */
import { given } from '../../core/given.ts';
import { type Told, withAfter } from '../../core/run/hooks.ts';
import {
  type Finding,
  type HostReceipt,
  hostReceiptParser,
  hostReceiptType,
  type ReceiptRun,
  toClaims,
  toReceiptRun,
} from '../../core/run/host-receipt.ts';
import { isAtRest } from '../../core/run/lifecycle.ts';
import { signEnvelope } from '../../signing/envelope.ts';
import { readAfterHook } from '../../state/after-hook.ts';
import { lastOfEach, readJournal } from '../../state/journal.ts';
import { addToOutbox, readLedger, writeLedger } from '../../state/outbox.ts';
import { readWaits } from '../../state/waits.ts';
import type { Machine } from '../machine/machine.ts';
import { gatherNow } from './host-facts.ts';
import { ensureHostKey, publicText } from './host-key.ts';

const identityOf = ({ transaction, state }: ReceiptRun) => `${transaction}:${state}`;

/** What the agent reports. */
export interface ToReport {
  readonly findings: readonly Finding[];
  /** Runs. If root has a record of one, that record counts; the others are reported as the agent’s word. */
  readonly claimed: readonly ReceiptRun[];
  readonly ageRecipients?: readonly string[] | undefined;
  readonly gather?: (machine: Machine) => Promise<HostReceipt['now']>;
}

/** Puts receipts into the outbox. Each gets its own number, reserved before use, so that two receipts never share one. */
export async function writeReceipts(
  machine: Machine,
  { findings, claimed, ageRecipients, gather = gatherNow }: ToReport,
): Promise<void> {
  const { floorDirectory, clock, policy, machineId } = machine;
  const key = await ensureHostKey(machine);
  const ledger = await readLedger(floorDirectory);
  const known = await runsAtRest(machine);
  const byId = new Map(known.map((r) => [r.transaction, r]));
  const claims = toClaims(claimed.filter((r) => !byId.has(r.transaction)));
  // In the order in which they happened, without asking a clock: the runs of this visit come last.
  const brought = claimed.findLast((r) => byId.has(r.transaction));
  const newest = brought === undefined ? known.at(-1) : byId.get(brought.transaction);
  const news = newestPerName(known.filter((r) => r !== newest && !ledger.told.includes(identityOf(r))));
  const subjects: (ReceiptRun | undefined)[] = [...news, newest];
  const told = [...ledger.told, ...known.map(identityOf).filter((id) => !ledger.told.includes(id))];
  await writeLedger(floorDirectory, { schema: 1, number: ledger.number + subjects.length, told });
  for (const [i, run] of subjects.entries()) {
    const isNewest = i === subjects.length - 1;
    const receipt: HostReceipt = hostReceiptParser.parse(
      given({
        schema: 1,
        host: policy.host,
        hostKey: publicText(key),
        number: ledger.number + i + 1,
        at: clock.now().toISOString(),
        machineId,
        run,
        now: isNewest ? await gather(machine) : undefined,
        seen: isNewest ? findings : [],
        waits: isNewest ? await waitsOf(machine) : undefined,
        ageRecipients: isNewest ? ageRecipients : undefined,
        agentSays: isNewest && claims.length > 0 ? claims : undefined,
      }),
    );
    const text = signEnvelope(Buffer.from(JSON.stringify(receipt)), hostReceiptType, key);
    await addToOutbox(floorDirectory, nameOf(run), text);
  }
}

/** In a receipt. */
const mostWaitsTold = 20;

/** What the agent waits for, by its own record. */
async function waitsOf({ requestsDirectory }: Pick<Machine, 'requestsDirectory'>) {
  const { waits, more } = await readWaits(requestsDirectory);
  if (waits.length === 0) return undefined;
  return { waits: waits.slice(0, mostWaitsTold), more: more + Math.max(0, waits.length - mostWaitsTold) };
}

/** Root’s own runs that have ended or wait for a restart. */
export async function runsAtRest({ floorDirectory }: Pick<Machine, 'floorDirectory'>): Promise<ReceiptRun[]> {
  const { records } = await readJournal(floorDirectory);
  const followed = await readAfterHook(floorDirectory).catch(() => undefined);
  return lastOfEach(records)
    .filter((r) => isAtRest(r.state) && r.state !== 'deferred')
    .map((r) =>
      toReceiptRun(r.transaction === followed?.transaction ? withAfter(r as Told, followed.result) : r),
    );
}

function newestPerName(runs: readonly ReceiptRun[]): ReceiptRun[] {
  return [...new Map(runs.map((r) => [nameOf(r), r])).values()];
}

/** One file per sequence; a run without one (an operator’s rollback, an unreadable bundle) names its file after itself. */
function nameOf(run: ReceiptRun | undefined): string {
  if (run === undefined) return '0.json';
  return run.sequence === undefined ? `run-${run.transaction}.json` : `${run.sequence}.json`;
}
