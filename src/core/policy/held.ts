/**
 * Releases that a person at the machine rolled back from or declared bad: they are not taken again automatically. A hold was
 * meant for that very release, so something newer ends it.
 */

export interface HeldRelease {
  readonly sequence: number;
  /** The floor that must be passed for it to end: a release signed to go below the floor has one above its own sequence. */
  readonly floor: number;
  /** RFC 3339. */
  readonly since: string;
  /** A person’s words, or ours. Untrusted. */
  readonly because: string;
}

/** At most this many are kept. */
export const mostHeld = 64;

/** The floor, as far as it matters. */
type FloorSequence = { readonly sequence: number } | undefined;

/** Those that still count: nothing newer has come since. */
export function heldInForce(held: readonly HeldRelease[], floor: FloorSequence): HeldRelease[] {
  return held.filter((h) => h.floor >= (floor?.sequence ?? 0));
}

/** @param next its `floor` is found here */
export function withHeld(
  held: readonly HeldRelease[],
  next: Omit<HeldRelease, 'floor'>,
  floor: FloorSequence,
): HeldRelease[] {
  const raised = { ...next, floor: Math.max(next.sequence, floor?.sequence ?? 0) };
  const others = withoutHeld(heldInForce(held, floor), next.sequence);
  return [...others, raised].sort((a, b) => a.sequence - b.sequence).slice(-mostHeld);
}

export function withoutHeld(held: readonly HeldRelease[], sequence: number): HeldRelease[] {
  return held.filter((h) => h.sequence !== sequence);
}

/** For people. */
export const heldText = ({ sequence, since, because }: HeldRelease): string =>
  `release ${sequence} has been held since ${since} (${because})`;
