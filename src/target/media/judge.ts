/** What this machine would do with a file, without doing it: for media, and for people who ask why. */

import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import type { Candidate } from '../../media/inbox.ts';
import { decideHere } from '../machine/decision.ts';
import type { Machine } from '../machine/machine.ts';
import { examine, sourceOf } from '../update/open.ts';

export type Judgement =
  | { readonly outcome: 'accept' | 'already-committed' | 'already-pending' | 'other-host' }
  | { readonly outcome: 'incomplete'; readonly present: number; readonly expected: number }
  | { readonly outcome: 'refuse' | 'defer' | 'unusable'; readonly code: ReasonCode; readonly detail: string };

export interface Judged {
  readonly host: string | undefined;
  readonly sequence: number | undefined;
  readonly judgement: Judgement;
}

/** Reads the head only. Never throws for what the file holds. */
export async function judgeCandidate(machine: Machine, candidate: Candidate): Promise<Judged> {
  try {
    const examined = await examine(machine, sourceOf(candidate));
    try {
      const { host, sequence } = examined.verified.manifest;
      return { host, sequence, judgement: await judgeExamined(machine, examined) };
    } finally {
      await examined.close();
    }
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    const { code, detail } = error;
    // On a stick for many hosts that is what the others’ bundles look like.
    if (code === 'not-decryptable')
      return { host: undefined, sequence: undefined, judgement: { outcome: 'other-host' } };
    return { host: undefined, sequence: undefined, judgement: { outcome: 'unusable', code, detail } };
  }
}

async function judgeExamined(
  machine: Machine,
  { verified, size, present }: Awaited<ReturnType<typeof examine>>,
): Promise<Judgement> {
  if (verified.manifest.host !== machine.policy.host) return { outcome: 'other-host' };
  const there = await present();
  if (there < size) return { outcome: 'incomplete', present: there, expected: size };
  const { operation } = machine.policy;
  const { verdict, ...why } = await decideHere(machine, verified, { operation, unattended: true });
  return { outcome: verdict, ...why } as Judgement;
}
