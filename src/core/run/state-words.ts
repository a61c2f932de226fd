/**
 * A run’s outcome as people read it: one word per outcome, in reports, tables, on the fleet page and at the console. Events,
 * journals, JSON and metrics have the state’s own name.
 */
const words: Readonly<Record<string, string>> = {
  committed: 'done',
  deferred: 'waiting',
  'rolling-back': 'rolling back',
  'rolled-back': 'rolled back',
  // Verdicts on a bundle that is here.
  'already-committed': 'already done',
  'already-pending': 'already pending',
  'already-staged': 'already staged',
  stage: 'staged until its time comes',
  'other-host': 'for another host',
};

/** Anything without its own word, in a receipt of any version, stays as it is. */
export const stateWord = (state: string): string =>
  (Object.hasOwn(words, state) ? words[state] : state) ?? '';

/** With its code, if it has one: `refused (expired)`. */
export const outcomeText = ({
  state,
  code,
}: {
  readonly state: string;
  readonly code?: string | undefined;
}) => `${stateWord(state)}${code === undefined ? '' : ` (${code})`}`;
