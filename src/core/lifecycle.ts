/** The states of one bundle on one machine (DESIGN §6) and the steps between them. */

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
  'rolled-back',
] as const;

export type State = (typeof states)[number];

const steps: Readonly<Record<State, readonly State[]>> = {
  discovered: ['verified', 'deferred', 'refused', 'failed'],
  // Quiet success: the very bundle this machine already runs is committed with nothing done.
  verified: ['accepted', 'committed', 'deferred', 'refused', 'failed'],
  accepted: ['imported', 'deferred', 'refused', 'failed'],
  imported: ['realised', 'deferred', 'refused', 'failed'],
  // `test` and `dry-activate` leave profile and boot loader alone.
  realised: ['profile-set', 'switched', 'deferred', 'refused', 'failed'],
  'profile-set': ['boot-entry', 'rolled-back', 'failed'],
  'boot-entry': ['switched', 'healthy', 'rolled-back', 'failed'],
  switched: ['healthy', 'rolled-back', 'failed'],
  healthy: ['committed', 'rolled-back', 'failed'],
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
