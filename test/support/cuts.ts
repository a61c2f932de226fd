/** The moments at which the power is cut: before and after the transitions of each process, from the life cycle itself. */
import { hasBegunToChange, isEnd, type State, states } from '../../src/core/run/lifecycle.ts';
import { allCases } from './cases.ts';

/** A moment at which the power is cut. */
export interface Cut {
  readonly who: 'agent' | 'activate' | 'confirm';
  readonly when: 'before' | 'after';
  readonly state: State;
  readonly bundle: 'good' | 'bad';
  readonly operation: 'switch' | 'boot';
}

const ways: readonly Omit<Cut, 'when' | 'state'>[] = [
  { who: 'agent', bundle: 'good', operation: 'switch' },
  { who: 'activate', bundle: 'good', operation: 'switch' },
  { who: 'activate', bundle: 'bad', operation: 'switch' },
  { who: 'activate', bundle: 'good', operation: 'boot' },
  { who: 'confirm', bundle: 'good', operation: 'boot' },
];

/** The states that this process records on this way and that no way before has been cut at. */
function statesOf({ who, bundle, operation }: Omit<Cut, 'when' | 'state'>): readonly State[] {
  if (who === 'confirm') return ['healthy', 'committed'];
  if (who === 'agent') return ['discovered', 'verified', 'accepted', 'imported', 'realised', 'committed'];
  if (bundle === 'bad') return ['rolling-back', 'rolled-back'];
  if (operation === 'boot') return ['pending'];
  // What is left of the life cycle: a new state comes in here by itself.
  const elsewhere: readonly State[] = [
    'pending',
    'rolling-back',
    'rolled-back',
    'deferred',
    'refused',
    'failed',
    'superseded',
  ];
  return states.filter((s) => !elsewhere.includes(s));
}

/**
 * A state is recorded before what it announces is done. So of each change the worse side is taken, just before the next state: it is done,
 * and nothing says so. As long as nothing but the store is changed one cut shows all there is to lose.
 */
function isInSample({ who, when, state }: Cut): boolean {
  if (who === 'agent') return state === 'imported' || state === 'committed';
  if (when === 'after') return state === 'realised';
  return isEnd(state) || (hasBegunToChange(state) && state !== 'profile-set');
}

export const cuts: readonly Cut[] = ways
  .flatMap((way) =>
    statesOf(way).flatMap((state) =>
      (way.who === 'agent' ? (['after'] as const) : (['before', 'after'] as const)).map(
        (when): Cut => ({ ...way, when, state }),
      ),
    ),
  )
  .filter((cut) => allCases || isInSample(cut));

/** As held-service.ts is told it. */
export const point = ({ who, when, state }: Cut) => `${who} ${when} ${state}`;
