/**
 * Releases that are good but whose time has not come: they are brought into the store and kept there (*staged*), and installed from there
 * later, decided on again. One at a time: the newest. Pure.
 */
import type { Policy } from './policy.ts';

export interface StagedRelease {
  readonly sequence: number;
  readonly manifestDigest: string;
  /** RFC 3339: when it was staged, by the machine’s clock. */
  readonly since: string;
}

/** Why a release waits that could be installed later without anybody bringing it again. */
export interface StagedWait {
  readonly code: StagingCode;
  readonly detail: string;
}

/** The waits for a time, a person or a process, and not for something that is wrong. */
const stagingCodes = ['outside-window', 'not-approved', 'not-now', 'hook-failed', 'unconfirmed'] as const;
export type StagingCode = (typeof stagingCodes)[number];

/** Undefined if this is no reason to stage, or the policy does not have it. */
export function stagingWait(
  { stage }: Pick<Policy, 'stage'>,
  { code, detail }: { readonly code: string; readonly detail: string },
): StagedWait | undefined {
  const found = stagingCodes.find((c) => c === code);
  return stage.allow && found !== undefined ? { code: found, detail } : undefined;
}

interface Decided {
  readonly verdict: string;
  readonly code?: string;
  readonly detail?: string;
}

/** What a decision leads to, if not to an installation at once: undefined unless it is to be staged. */
export function toStage(
  policy: Pick<Policy, 'stage'>,
  { verdict, code = '', detail = '' }: Decided,
  { unattended }: { readonly unattended: boolean },
): StagedWait | undefined {
  return unattended && verdict === 'defer' ? stagingWait(policy, { code, detail }) : undefined;
}
