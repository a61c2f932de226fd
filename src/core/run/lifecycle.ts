/**
 * The states of one bundle on one machine (DESIGN §6) and the steps between them.
 *
 * Up to `realised` a state says what has been done: all of it can safely be repeated. From `profile-set` on it
 * says what is about to be done, and is on disk before that begins, because from there on the machine itself is changed.
 */

export const states = [
  'discovered',
  'verified',
  'accepted',
  'imported',
  'realised',
  'staged',
  'profile-set',
  'boot-entry',
  'switched',
  'pending',
  'healthy',
  'committed',
  'deferred',
  'refused',
  'failed',
  'rolling-back',
  'rolled-back',
  'superseded',
] as const;

export type State = (typeof states)[number];

const steps: Readonly<Record<State, readonly State[]>> = {
  // `profile-set`: an operator's rollback, which has no bundle to verify.
  discovered: ['verified', 'profile-set', 'deferred', 'refused', 'failed'],
  // Quiet success: the very bundle this machine already runs is committed without doing anything.
  verified: ['accepted', 'committed', 'deferred', 'refused', 'failed'],
  accepted: ['imported', 'deferred', 'refused', 'failed'],
  imported: ['realised', 'deferred', 'refused', 'failed'],
  // `test` and `dry-activate` leave profile and boot loader alone.
  // With separate privileges, the agent hands over here, and its run ends as root's did.
  realised: [
    'staged',
    'profile-set',
    'switched',
    'committed',
    'pending',
    'superseded',
    'rolled-back',
    'deferred',
    'refused',
    'failed',
  ],
  // In the store, waiting for its time; nothing of the machine has been changed. Then it is decided on again.
  // In the agent’s journal it ends as root’s run did.
  staged: ['profile-set', 'committed', 'pending', 'superseded', 'rolled-back', 'refused', 'failed'],
  // `pending` from here on: the machine was restarted into the new system before the rest was done.
  'profile-set': ['boot-entry', 'pending', 'rolling-back'],
  'boot-entry': ['switched', 'pending', 'rolling-back'],
  // `pending`: what is installed can only run after a restart.
  switched: ['healthy', 'pending', 'rolling-back', 'failed'],
  // Installed, and judged after the next start; once more if a person has to confirm it.
  pending: ['pending', 'healthy', 'rolling-back', 'superseded'],
  healthy: ['committed', 'pending', 'rolling-back', 'failed'],
  'rolling-back': ['rolled-back', 'failed'],
  committed: [],
  deferred: [],
  refused: [],
  failed: [],
  'rolled-back': [],
  superseded: [],
};

export function mayFollow(from: State, to: State): boolean {
  return steps[from].includes(to);
}

export function isEnd(state: State): boolean {
  return steps[state].length === 0;
}

/** Ended, or waiting for its time or a restart: nothing is under way. A run that stopped in any other state was cut off. */
export function isAtRest(state: State): boolean {
  return isEnd(state) || state === 'pending' || state === 'staged';
}

/** Whether a run that stopped in this state has begun to change the machine. */
export function hasBegunToChange(state: State): boolean {
  return ['profile-set', 'boot-entry', 'switched', 'pending', 'healthy', 'rolling-back'].includes(state);
}
