/**
 * Releases that are good but whose time has not come: they are brought into the store and kept there (*staged*), and installed from there
 * later, decided on again. One at a time: the newest. Pure.
 */
import type { Manifest } from '../release/manifest.ts';
import type { Facts, Verdict } from './decide.ts';
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
const stagingCodes = ['outside-window', 'not-approved', 'unconfirmed'] as const;
export type StagingCode = (typeof stagingCodes)[number];

/** Undefined if this is no reason to stage, or the policy does not have it. */
export function stagingWait(
  { stage }: Pick<Policy, 'stage'>,
  { code, detail }: { readonly code: string; readonly detail: string },
): StagedWait | undefined {
  const found = stagingCodes.find((c) => c === code);
  return stage.allow && found !== undefined ? { code: found, detail } : undefined;
}

/** What a decision leads to, if not to an installation at once: undefined unless it is to be staged. */
export function toStage(
  policy: Pick<Policy, 'stage'>,
  verdict: Verdict,
  { unattended }: Pick<Facts, 'unattended'>,
): StagedWait | undefined {
  return unattended && verdict.verdict === 'defer' ? stagingWait(policy, verdict) : undefined;
}

const dayMilliseconds = 86_400_000;

/**
 * Before what only defers: a release that is not newer than the staged one must not take its place while both wait. A person at the machine
 * installs what they like, and what is staged is then decided on by the new floor.
 */
export function checkStaged(manifest: Manifest, facts: Facts, policy: Policy): Verdict | undefined {
  const { staged, unattended, manifestDigest, floor } = facts;
  if (staged === undefined || !unattended) return undefined;
  if (facts.isStaged === true) return checkAge(manifest, staged, { facts, policy });
  if (manifestDigest === staged.manifestDigest) return { verdict: 'already-staged' };
  // Signed for exactly this floor: whoever did that means to go back, and not to what is staged.
  if (floor !== undefined && manifest.downgradeFrom === floor.sequence) return undefined;
  if (manifest.sequence > staged.sequence) return undefined;
  const isSame = manifest.sequence === staged.sequence;
  const detail = isSame
    ? `sequence ${manifest.sequence} is already staged with different contents`
    : `it has sequence ${manifest.sequence}, but ${staged.sequence} is already staged`;
  return { verdict: 'refuse', code: isSame ? 'sequence-conflict' : 'sequence-older', detail };
}

/** A clock that must be wrong proves nothing. */
function checkAge(
  { sequence }: Manifest,
  { since }: StagedRelease,
  { facts: { now, clockBehind }, policy }: { readonly facts: Facts; readonly policy: Policy },
): Verdict | undefined {
  const { days } = policy.stage;
  const age = (Date.parse(now) - Date.parse(since)) / dayMilliseconds;
  if (clockBehind || !(age > days)) return undefined;
  const detail = `sequence ${sequence} was staged at ${since}; it is now ${now}, and the policy allows ${days} days`;
  return { verdict: 'refuse', code: 'staged-too-long', detail };
}
