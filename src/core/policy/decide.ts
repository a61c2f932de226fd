/** The decision: one pure function from what is known to a verdict. It never throws, and reads no clock. */

import type { DeferCode, PolicyCode } from '../errors.ts';
import type { Manifest } from '../release/manifest.ts';
import type { Operation } from '../schema.ts';
import { unlikeSizes } from '../size.ts';
import { type HeldRelease, heldText } from './held.ts';
import { findInsufficient } from './keyring.ts';
import type { Policy } from './policy.ts';
import type { StagedRelease } from './stage.ts';
import { isOpen, nextOpening } from './window.ts';

/** The newest bundle this machine has committed; nothing older is taken (DESIGN §8). */
export interface Floor {
  readonly sequence: number;
  /** sha256 of the manifest's bytes, hexadecimal. */
  readonly manifestDigest: string;
}

export interface PendingSystem extends Floor {
  readonly operation: Operation;
  /** The machine was restarted since, and the system has yet to be judged. */
  readonly restarted: boolean;
}

export interface Facts {
  readonly manifestDigest: string;
  /** The bundle’s size, if known: root only sees what is signed. */
  readonly bundleBytes?: number | undefined;
  /** This machine’s Nix system. */
  readonly system: string;
  /** machine-id(5), if the machine has one. */
  readonly machineId: string | undefined;
  readonly floor: Floor | undefined;
  /** Why the floor can’t be right; undefined if all is well. */
  readonly floorDoubt?: string | undefined;
  /** Names of the trusted keys whose signatures fit. */
  readonly signedBy: readonly string[];
  /** Nobody asked for this by hand, so windows apply. */
  readonly unattended: boolean;
  /** Whether the clock is earlier than the time floor, and so must be wrong. */
  readonly clockBehind: boolean;
  /** The system that is installed and waits for a restart, or for its confirmation after one. */
  readonly pending: PendingSystem | undefined;
  /** The release that is in the store and waits for its time. */
  readonly staged?: StagedRelease | undefined;
  /** What is decided on is that release itself. */
  readonly isStaged?: boolean | undefined;
  /** Digests of manifests whose activation failed here. */
  readonly failedDigests: ReadonlySet<string>;
  /** Releases that a person holds. */
  readonly held?: readonly HeldRelease[];
  /** Why nobody knows which are held. */
  readonly heldDoubt?: string | undefined;
  readonly operation: Operation;
  /** Whether the machine already runs (or will boot) the manifest's toplevel. */
  readonly toplevelInPlace: boolean;
  /** RFC 3339, never before the newest signed time seen; `expiresAt` and the keys’ validity are judged against it. */
  readonly now: string;
}

export type Verdict =
  | { readonly verdict: 'accept' }
  /** The bundle is the one this machine has committed: success, nothing to do. */
  | { readonly verdict: 'already-committed' }
  /** The bundle is the one that waits for a restart: success, nothing to do. */
  | { readonly verdict: 'already-pending' }
  /** The bundle is the one that is staged: success, nothing to do. */
  | { readonly verdict: 'already-staged' }
  | { readonly verdict: 'defer'; readonly code: DeferCode; readonly detail: string }
  | { readonly verdict: 'refuse'; readonly code: PolicyCode; readonly detail: string };

const refuse = (code: PolicyCode, detail: string): Verdict => ({ verdict: 'refuse', code, detail });

type Check = (manifest: Manifest, facts: Facts, policy: Policy) => Verdict | undefined;

/** In the order of docs/format.md §4, with what each asks, for people; the first with something to say decides. */
export const checks: readonly { readonly asks: string; readonly check: Check }[] = [
  { asks: 'is it for this host, system type and machine?', check: checkBinding },
  { asks: 'have enough keys signed that are valid now and have the required roles?', check: checkKeys },
  { asks: 'does the policy allow the operation?', check: checkOperation },
  { asks: 'is it still unexpired?', check: checkExpiry },
  { asks: 'is its signed time plausible by this machine’s clock?', check: checkCreated },
  { asks: 'is it within the policy’s limits?', check: checkLimits },
  { asks: 'is it newer than anything taken here, and has it not failed before?', check: checkFloor },
  { asks: 'does it reach the minimum sequence of policy and keyring?', check: checkMinimum },
  { asks: 'is it free of a hold on this machine?', check: checkHeld },
  { asks: 'does it fit with the release that is staged?', check: checkStaged },
  { asks: 'does it fit with the system that is pending?', check: checkPending },
  { asks: 'is the window open?', check: checkWindow },
];

export function decide(manifest: Manifest, facts: Facts, policy: Policy): Verdict {
  for (const { check } of checks) {
    const verdict = check(manifest, facts, policy);
    if (verdict !== undefined) return verdict;
  }
  return { verdict: 'accept' };
}

/**
 * For its contents alone, which are pinned by what is installed already: that it is for this machine and signed as a release to be installed
 * must be. Neither its age nor the floor, a hold or the window speaks against it.
 */
export const decideContents: Check = (manifest, facts, policy) =>
  checkBinding(manifest, facts, policy) ?? checkKeys(manifest, facts, policy);

function checkBinding(manifest: Manifest, facts: Facts, policy: Policy): Verdict | undefined {
  if (manifest.host !== policy.host) {
    return refuse('wrong-host', `the bundle is for ${manifest.host}; this machine is ${policy.host}`);
  }
  if (manifest.system !== facts.system) {
    return refuse('wrong-system', `the bundle is for ${manifest.system}; this machine is ${facts.system}`);
  }
  if (manifest.machineId !== undefined && manifest.machineId !== (policy.machineId ?? facts.machineId)) {
    return refuse('wrong-machine', `the bundle is bound to machine id ${manifest.machineId}`);
  }
  return undefined;
}

/** Signatures have been verified; which of the keys count depends on the time, so that is decided here. */
function checkKeys(_manifest: Manifest, facts: Facts, policy: Policy): Verdict | undefined {
  const lacking = findInsufficient(policy, facts);
  return lacking === undefined ? undefined : refuse(lacking.code, lacking.detail);
}

/** The bundle’s size is not signed, and root does not know it: it is checked where it is known. */
function checkLimits(
  { totals }: Manifest,
  { bundleBytes = 0 }: Facts,
  { limits }: Policy,
): Verdict | undefined {
  const measured = [
    ['bundleBytes', bundleBytes],
    ['narBytes', totals.largestNar],
    ['closureBytes', totals.narBytes],
    ['paths', totals.paths],
  ] as const;
  const over = measured.find(([name, value]) => value > limits[name]);
  if (over === undefined) return undefined;
  const [name, value] = over;
  const [is, most] = name === 'paths' ? [value, limits[name]] : unlikeSizes(value, limits[name]);
  return refuse('over-limit', `${name} is ${is}; the policy allows ${most}`);
}

/** Last: anything that would be refused anyway is refused at once, not when the window opens. */
function checkWindow(_manifest: Manifest, facts: Facts, { window }: Policy): Verdict | undefined {
  if (window === undefined || !facts.unattended) return undefined;
  const wait = (detail: string): Verdict => ({ verdict: 'defer', code: 'outside-window', detail });
  if (facts.clockBehind)
    return wait(
      `the clock is behind the newest signed time seen (${facts.now}), so the window cannot be determined`,
    );
  const now = new Date(facts.now);
  if (isOpen(window, now)) return undefined;
  return wait(`the window opens at ${nextOpening(window, now)?.toISOString() ?? 'no time'}`);
}

function checkOperation(_manifest: Manifest, facts: Facts, policy: Policy): Verdict | undefined {
  const allowed = allowedOperations(policy);
  if (allowed.includes(facts.operation)) return undefined;
  return refuse(
    'operation-forbidden',
    `${facts.operation} was requested; the policy allows ${allowed.join(', ')}`,
  );
}

/** Operations the policy allows. Without a list: its own, and those that make no lasting change. */
export function allowedOperations(policy: Policy): readonly Operation[] {
  return [
    ...new Set<Operation>([policy.operation, ...(policy.operations ?? ['boot', 'test', 'dry-activate'])]),
  ];
}

function checkExpiry(manifest: Manifest, facts: Facts): Verdict | undefined {
  if (manifest.expiresAt === undefined || Date.parse(facts.now) < Date.parse(manifest.expiresAt))
    return undefined;
  return refuse('expired', `it expired at ${manifest.expiresAt}; it is now ${facts.now}`);
}

/** A clock that must be wrong proves nothing: then the signed time is the better guess, as usual. */
function checkCreated(
  { createdAt }: Manifest,
  { now, clockBehind }: Facts,
  { limits }: Policy,
): Verdict | undefined {
  const ahead = (Date.parse(createdAt) - Date.parse(now)) / 1000;
  if (clockBehind || ahead <= limits.createdAhead) return undefined;
  const detail = `it says it was created at ${createdAt}, but the clock says ${now}; the policy allows ${limits.createdAhead} seconds`;
  return refuse('created-ahead', detail);
}

function checkFloor(manifest: Manifest, facts: Facts, { limits }: Policy): Verdict | undefined {
  const { floor, floorDoubt, manifestDigest } = facts;
  if (floorDoubt !== undefined) return { verdict: 'defer', code: 'floor-lost', detail: floorDoubt };
  if (facts.failedDigests.has(manifestDigest)) {
    return refuse('failed-before', `sequence ${manifest.sequence} was tried before and failed`);
  }
  if (floor === undefined) return undefined;
  if (manifest.sequence - floor.sequence > limits.sequenceJump) {
    const detail = `it has sequence ${manifest.sequence}; the policy allows at most ${limits.sequenceJump} above ${floor.sequence}`;
    return refuse('sequence-jump', detail);
  }
  if (manifest.sequence > floor.sequence) return undefined;
  // Signed for exactly this floor, so it is good for one step only, and useless to anyone who keeps it for later.
  const isDowngrade = manifest.downgradeFrom === floor.sequence;
  const isOurs = manifestDigest === floor.manifestDigest;
  if (isDowngrade && !isOurs) return undefined;
  if (manifest.sequence < floor.sequence && !isDowngrade) {
    return refuse(
      'sequence-older',
      `it has sequence ${manifest.sequence}; this machine has taken ${floor.sequence}`,
    );
  }
  if (!isOurs) {
    return refuse(
      'sequence-conflict',
      `sequence ${manifest.sequence} was already taken with different contents`,
    );
  }
  // The same bundle again. Trying it out, or restoring it after a local change, is still work to do.
  const changesNothing = facts.operation === 'test' || facts.operation === 'dry-activate';
  return facts.toplevelInPlace && !changesNothing ? { verdict: 'already-committed' } : undefined;
}

/** After the floor: what is already in place stays. A signed downgrade goes no lower either. */
function checkMinimum({ sequence }: Manifest, _: Facts, { minimumSequence }: Policy): Verdict | undefined {
  if (sequence >= minimumSequence) return undefined;
  return refuse('sequence-older', `it has sequence ${sequence}; the least taken here is ${minimumSequence}`);
}

/** After the floor: what is already in place, or older, is reported as such. */
function checkHeld({ sequence }: Manifest, { held = [], heldDoubt }: Facts): Verdict | undefined {
  if (heldDoubt !== undefined) return { verdict: 'defer', code: 'held-lost', detail: heldDoubt };
  const found = held.find((h) => h.sequence === sequence);
  return found === undefined ? undefined : refuse('release-held', heldText(found));
}

/**
 * Before what only defers: a release that is not newer than the staged one must not take its place while both wait. A person at the machine
 * installs what they like, and what is staged is then decided on by the new floor.
 */
function checkStaged(manifest: Manifest, facts: Facts, policy: Policy): Verdict | undefined {
  const { staged, isStaged = false, unattended, manifestDigest, floor } = facts;
  if (staged === undefined || !unattended) return undefined;
  if (isStaged) return checkAge(staged, facts, policy);
  if (manifestDigest === staged.manifestDigest) return { verdict: 'already-staged' };
  // Signed for exactly this floor: whoever did that means to go back, and not to what is staged.
  if (floor !== undefined && manifest.downgradeFrom === floor.sequence) return undefined;
  const { sequence } = manifest;
  if (sequence > staged.sequence) return undefined;
  return sequence < staged.sequence
    ? refuse('sequence-older', `it has sequence ${sequence}, but ${staged.sequence} is already staged`)
    : refuse('sequence-conflict', `sequence ${sequence} is already staged with different contents`);
}

const dayMilliseconds = 86_400_000;

/** A clock that must be wrong proves nothing. */
function checkAge(
  { sequence, since }: StagedRelease,
  { now, clockBehind }: Facts,
  { stage: { days } }: Policy,
): Verdict | undefined {
  if (clockBehind || Date.parse(now) - Date.parse(since) <= days * dayMilliseconds) return undefined;
  const detail = `sequence ${sequence} was staged at ${since}; it is now ${now}, and the policy allows ${days} days`;
  return refuse('staged-too-long', detail);
}

/** What is installed but not committed takes the floor’s place until it is judged. */
function checkPending(manifest: Manifest, facts: Facts): Verdict | undefined {
  const { pending, manifestDigest, operation } = facts;
  if (pending === undefined) return undefined;
  if (pending.restarted) {
    const detail = `the machine has started sequence ${pending.sequence}, which is not confirmed yet`;
    return { verdict: 'defer', code: 'unconfirmed', detail };
  }
  if (manifest.sequence < pending.sequence) {
    const detail = `it has sequence ${manifest.sequence}, but ${pending.sequence} is already installed for the next start`;
    return refuse('sequence-older', detail);
  }
  if (manifestDigest !== pending.manifestDigest) {
    if (manifest.sequence > pending.sequence) return undefined;
    return refuse(
      'sequence-conflict',
      `sequence ${manifest.sequence} is already installed with different contents`,
    );
  }
  // Somebody may want to run now, or try out, what was installed for the next start.
  const isDone = operation === 'boot' || (operation === 'switch' && pending.operation === 'switch');
  return isDone ? { verdict: 'already-pending' } : undefined;
}
