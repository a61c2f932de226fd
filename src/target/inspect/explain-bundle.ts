/** What this machine would do with one bundle, check by check: `check-policy FILE BUNDLE`. */

import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { checks } from '../../core/policy/decide.ts';
import { gatherFacts } from '../machine/facts.ts';
import type { Machine } from '../machine/machine.ts';
import { examine, sourceOf } from '../update/open.ts';

export interface CheckResult {
  readonly asks: string;
  /** `skipped`: an earlier one has stopped it, and without its answer this one makes no sense. */
  readonly result:
    | 'passed'
    | 'skipped'
    | 'refuse'
    | 'defer'
    | 'already-committed'
    | 'already-pending'
    | 'already-staged';
  readonly code?: ReasonCode;
  readonly detail?: string;
}

const asksForm = 'is it a bundle, signed by keys the policy trusts?';
const asksBytes = 'does every byte match what was signed?';

/** All the checks that `decide` stops at are made, so that everything that stands in the way is seen at once. */
export async function explainBundle(machine: Machine, path: string): Promise<CheckResult[]> {
  const { operation } = machine.policy;
  try {
    const format = path.toLowerCase().endsWith('.tar.gz') ? 'classic' : 'bundle';
    const examined = await examine(machine, sourceOf({ format, path }));
    try {
      const { verified } = examined;
      const { expected: bundleBytes } = await examined.measure();
      const facts = await gatherFacts(machine, verified, { operation, unattended: true, bundleBytes });
      const judged = checks.map(({ asks, check }): CheckResult => {
        const verdict = check(verified.manifest, facts, machine.policy);
        if (verdict === undefined) return { asks, result: 'passed' };
        const { verdict: result, ...why } = verdict;
        return { asks, result: result === 'accept' ? 'passed' : result, ...why };
      });
      return [{ asks: asksForm, result: 'passed' }, ...judged, await bytesChecked(examined.open)];
    } finally {
      await examined.close();
    }
  } catch (error) {
    const failed = refused(asksForm, error);
    return [failed, ...checks.map(({ asks }): CheckResult => ({ asks, result: 'skipped' }))];
  }
}

async function bytesChecked(open: () => Promise<unknown>): Promise<CheckResult> {
  try {
    await open();
    return { asks: asksBytes, result: 'passed' };
  } catch (error) {
    return refused(asksBytes, error);
  }
}

function refused(asks: string, error: unknown): CheckResult {
  if (!(error instanceof NixmakerError)) throw error;
  return { asks, result: 'refuse', code: error.code, detail: error.detail };
}
