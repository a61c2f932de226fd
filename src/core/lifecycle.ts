/**
 * The states of one bundle on one machine (DESIGN §6) and the steps between them.
 *
 * Up to `realised` a state says what has been done: all of it can be done over without harm. From `profile-set` on it
 * says what is about to be done, and is on disk before it begins, for from there on the machine itself is changed.
 */

export const states = [
  'discovered',
  'verified',
  'accepted',
  'imported',
  'realised',
  'profile-set',
  'boot-entry',
  'switched',
  'healthy',
  'committed',
  'deferred',
  'refused',
  'failed',
  'rolling-back',
  'rolled-back',
] as const;

export type State = (typeof states)[number];

const steps: Readonly<Record<State, readonly State[]>> = {
  // `profile-set`: an operator's rollback, which has no bundle to verify.
  discovered: ['verified', 'profile-set', 'deferred', 'refused', 'failed'],
  // Quiet success: the very bundle this machine already runs is committed with nothing done.
  verified: ['accepted', 'committed', 'deferred', 'refused', 'failed'],
  accepted: ['imported', 'deferred', 'refused', 'failed'],
  imported: ['realised', 'deferred', 'refused', 'failed'],
  // `test` and `dry-activate` leave profile and boot loader alone.
  // Where the privileges are apart, the agent hands over here, and its run ends as the helper's did.
  realised: ['profile-set', 'switched', 'committed', 'rolled-back', 'deferred', 'refused', 'failed'],
  // `healthy` from here on: the machine was restarted into the new system before the rest was done.
  'profile-set': ['boot-entry', 'healthy', 'rolling-back'],
  'boot-entry': ['switched', 'healthy', 'rolling-back'],
  switched: ['healthy', 'rolling-back', 'failed'],
  healthy: ['committed', 'rolling-back', 'failed'],
  'rolling-back': ['rolled-back', 'failed'],
  committed: [],
  deferred: [],
  refused: [],
  failed: [],
  'rolled-back': [],
};

export function mayFollow(from: State, to: State): boolean {
  return steps[from].includes(to);
}

export function isEnd(state: State): boolean {
  return steps[state].length === 0;
}

/** Whether a run that stopped in this state has begun to change the machine. */
export function hasBegunToChange(state: State): boolean {
  return ['profile-set', 'boot-entry', 'switched', 'healthy', 'rolling-back'].includes(state);
}
