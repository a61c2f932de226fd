/** Whether a machine is to be restarted, and whether it may be right now. Pure. */
import type { RebootPolicy } from '../policy/policy.ts';
import { isOpen, nextOpening } from '../policy/window.ts';

export interface RebootFacts {
  /** A system is installed that has not been booted yet. */
  readonly pending: boolean;
  /** The machine runs a system that was rolled back. */
  readonly runsRolledBack: boolean;
  /** A bundle was committed in this boot: a new system is running on the old kernel. */
  readonly switched: boolean;
  /** What differs between the booted system and the installed one and needs a restart to change: `kernel`… */
  readonly differs: readonly string[];
}

/** Why the machine is to be restarted; undefined if it isn’t. */
export function rebootReason(policy: RebootPolicy, facts: RebootFacts): string | undefined {
  const { when } = policy;
  if (when === 'never') return undefined;
  if (facts.runsRolledBack) return 'the running system was rolled back';
  if (facts.pending) return 'a new system is installed';
  if (!facts.switched) return undefined;
  if (facts.differs.length > 0) return `${facts.differs.join(', ')} changed`;
  return when === 'always' ? 'a new system was activated' : undefined;
}

export type RebootTiming =
  | { readonly now: true }
  /** Look again in this many milliseconds. */
  | { readonly now: false; readonly again: number; readonly because: string };

/** How long to wait for a clock to be set. Milliseconds. */
const later = 10 * 60_000;

/** @param newestSignedTime a clock earlier than that can’t be right */
export function rebootTiming(
  policy: RebootPolicy,
  now: Date,
  newestSignedTime: Date | undefined,
): RebootTiming {
  const { window } = policy;
  if (window === undefined) return { now: true };
  if (newestSignedTime !== undefined && now < newestSignedTime)
    return { now: false, again: later, because: 'the clock is not set, so the window cannot be determined' };
  const opening = nextOpening(window, now);
  if (opening === undefined) return { now: false, again: later, because: 'the window never opens' };
  if (isOpen(window, now)) return { now: true };
  const again = opening.getTime() - now.getTime();
  return { now: false, again, because: `the window opens at ${opening.toISOString()}` };
}
