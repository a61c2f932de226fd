/** What is decided here and now about a verified manifest, and how a run that goes no further ends. Shared by agent and root. */
import { NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { decide, decideContents, type Verdict } from '../../core/policy/decide.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { Operation } from '../../core/schema.ts';
import type { VerifiedManifest } from '../../signing/verify.ts';
import { type Asked, type FactsSource, gatherFacts } from './facts.ts';
import type { Transaction } from './transaction.ts';

/** What this machine would do with it now. */
export async function decideHere(
  machine: FactsSource,
  verified: VerifiedManifest,
  asked: Asked,
): Promise<Verdict> {
  return decide(verified.manifest, await gatherFacts(machine, verified, asked), machine.policy);
}

/** Whether store paths may be repaired from it. @throws NixmakerError what speaks against it */
export async function requireContents(machine: FactsSource, verified: VerifiedManifest): Promise<void> {
  const { operation } = machine.policy;
  const facts = await gatherFacts(machine, verified, { operation, unattended: false });
  const verdict = decideContents(verified.manifest, facts, machine.policy);
  if (verdict?.verdict === 'refuse') throw new NixmakerError(verdict.code, verdict.detail);
}

/** What every journal line and the receipt say about the bundle. */
export function learnManifest(
  transaction: Transaction,
  { manifest, digest, signedBy }: VerifiedManifest,
  operation: Operation,
): void {
  const { host, sequence, downgradeFrom, noWayBack, createdAt, toplevel } = manifest;
  const known = { host, sequence, downgradeFrom, noWayBack, createdAt, manifestDigest: digest, toplevel };
  transaction.learn({ ...given(known), operation, signedBy });
}

/** Ends a run according to the decision. */
export function endAs(
  transaction: Transaction,
  { verdict, code, detail }: Extract<Verdict, { verdict: 'refuse' | 'defer' }>,
): Promise<Receipt> {
  return transaction.end(verdict === 'refuse' ? 'refused' : 'deferred', { code, detail });
}

export function nothingToDo({ verdict }: Verdict): string {
  if (verdict === 'already-staged')
    return 'This bundle is already in the store and waiting for its time; there was nothing to do.';
  return verdict === 'already-pending'
    ? 'This bundle is already installed and waiting for the next start; there was nothing to do.'
    : 'This bundle was already taken; there was nothing to do.';
}
