/** What this machine would do with a file, without doing it: for media, and for people who ask why. */

import type { Measured } from '../../bundle/pool.ts';
import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { toStage } from '../../core/policy/stage.ts';
import { arrivedText } from '../../core/size.ts';
import type { Candidate } from '../../media/inbox.ts';
import type { VerifiedManifest } from '../../signing/verify.ts';
import { decideHere } from '../machine/decision.ts';
import type { Machine } from '../machine/machine.ts';
import { examine, sourceOf } from '../update/open.ts';

interface Unusable {
  readonly outcome: 'refuse' | 'defer' | 'unusable';
  readonly code: ReasonCode;
  readonly detail: string;
}

export type Judgement =
  | { readonly outcome: 'accept' | 'already-committed' | 'already-pending' | 'already-staged' | 'other-host' }
  /** Taken too, but only staged. */
  | { readonly outcome: 'stage'; readonly code: ReasonCode; readonly detail: string }
  | { readonly outcome: 'incomplete'; readonly present: number; readonly expected: number }
  | Unusable;

export interface Judged {
  readonly host: string | undefined;
  readonly sequence: number | undefined;
  readonly judgement: Judgement;
}

/** Reads only the head. Never throws because of what the file contains. */
export async function judgeCandidate(machine: Machine, candidate: Candidate): Promise<Judged> {
  try {
    const looked = await look(machine, candidate);
    const { host, sequence } = looked.verified.manifest;
    return { host, sequence, judgement: await judgeLooked(machine, looked) };
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    const { code, detail } = error;
    // On a stick for many hosts, this is what the other hosts’ bundles look like.
    if (code === 'not-decryptable')
      return { host: undefined, sequence: undefined, judgement: { outcome: 'other-host' } };
    return { host: undefined, sequence: undefined, judgement: { outcome: 'unusable', code, detail } };
  }
}

/**
 * Everything that has to be read for a judgement. The file is closed before Nix is asked anything, which takes far longer: somebody who
 * unmounts the medium in the meantime is not told that it is busy.
 */
async function look(machine: Machine, candidate: Candidate): Promise<Looked> {
  const { verified, measure, close } = await examine(machine, sourceOf(candidate));
  try {
    const isOurs = verified.manifest.host === machine.policy.host;
    return { verified, measured: isOurs ? await measure().catch(asOutcome) : undefined };
  } finally {
    await close();
  }
}

interface Looked {
  readonly verified: VerifiedManifest;
  /** Undefined for another host’s bundle. */
  readonly measured: Measured | Unusable | undefined;
}

function asOutcome(error: unknown): Unusable {
  if (!(error instanceof NixmakerError)) throw error;
  return { outcome: 'unusable', code: error.code, detail: error.detail };
}

async function judgeLooked(machine: Machine, { verified, measured }: Looked): Promise<Judgement> {
  if (measured === undefined) return { outcome: 'other-host' };
  if ('outcome' in measured) return measured;
  const { present, expected } = measured;
  if (present < expected) return { outcome: 'incomplete', present, expected };
  const { operation } = machine.policy;
  const asked = { operation, unattended: true, bundleBytes: expected };
  const verdict = await decideHere(machine, verified, asked);
  const wait = toStage(machine.policy, verdict, asked);
  if (wait !== undefined) return { outcome: 'stage', ...wait };
  const { verdict: outcome, ...why } = verdict;
  return { outcome, ...why } as Judgement;
}

/** What stands in its way, if anything does. */
export function whyOf(judgement: Judged['judgement']): {
  readonly code?: ReasonCode;
  readonly detail?: string;
} {
  if (judgement.outcome === 'incomplete')
    return {
      code: 'bundle-truncated',
      detail: arrivedText(judgement.present, judgement.expected),
    };
  return 'code' in judgement ? { code: judgement.code, detail: judgement.detail } : {};
}
