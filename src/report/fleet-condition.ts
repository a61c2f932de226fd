/** How a host is, as far as it is known at the desk, and why that is said. What is not known is never reported as well. */
import { outcomeText } from '../core/run/state-words.ts';

export interface PageRun {
  readonly at: string;
  readonly state: string;
  readonly code: string | undefined;
  readonly sequence: number | undefined;
}

export interface PageClaim {
  readonly state: string;
  readonly code: string | undefined;
  readonly text: string;
}

export interface PageHost {
  readonly host: string;
  /** Whether any receipt of it counts here. */
  readonly heard: boolean;
  /** When its newest receipt was collected, by this desk’s clock; undefined where that is not known. */
  readonly collected: string | undefined;
  /** The same receipt by the host’s own clock, which may be anything. */
  readonly at: string | undefined;
  /** Receipts that are kept here and can’t be read, or are not signed by its key. */
  readonly unreadable: number;
  /** Number of a receipt that was here and is newer than all that are. */
  readonly missing?: number | undefined;
  /** The key that is kept for it was replaced, and is not believed. */
  readonly isKeyReplaced?: boolean;
  /** It was retired, and has reported since. */
  readonly returned: boolean;
  /** Oldest first. */
  readonly runs: readonly PageRun[];
  readonly detail: string | undefined;
  /** What the host’s agent says of bundles that its root never saw, oldest first: nobody has checked it. */
  readonly agentSays: readonly PageClaim[];
  /** What its agent can’t read, or has found under a wrong name, with the code: nobody has checked it. */
  readonly found: readonly string[];
  /** Sequence of the release that runs. */
  readonly release: number | undefined;
  /** The newest sequence it has taken. */
  readonly floor: number | undefined;
  /** Releases that a person at the machine does not want taken (again). */
  readonly held: readonly number[];
  readonly versions: {
    readonly nixos?: string | undefined;
    readonly nixmaker?: string | undefined;
    readonly kernel?: string | undefined;
  };
  readonly failedUnits: readonly string[] | undefined;
  readonly freeBytes: number | undefined;
  readonly restartNeeded: boolean;
  /** Installations of it that were replaced, in words. */
  readonly former: readonly string[];
  /** Newest bundle at the desk, where bundles were given to compare with. */
  readonly available?: { readonly sequence: number; readonly bytes: number } | undefined;
}

/** The worst first. */
export const conditions = ['unwell', 'unknown', 'stale', 'waits', 'well'] as const;
export type Condition = (typeof conditions)[number];

export const conditionWords: Readonly<Record<Condition, string>> = {
  unwell: 'needs somebody',
  unknown: 'not known',
  stale: 'not heard of',
  waits: 'waits for a restart',
  well: 'well',
};

export interface Judgement {
  readonly condition: Condition;
  /** Sentences; none where all is well. */
  readonly reasons: readonly string[];
}

export interface JudgedBy {
  readonly now: Date;
  /** Days after which a host of which nothing was collected is called out. */
  readonly staleAfter: number;
}

const dayMilliseconds = 86_400_000;
/** What waits for a restart has gone well so far. */
export const goodStates: ReadonlySet<string> = new Set(['committed', 'superseded', 'pending']);

type Reason = readonly [Condition, string];

export function judgeHost(host: PageHost, by: JudgedBy): Judgement {
  const reasons = [
    ...(host.heard
      ? [...ofRuns(host), ...ofClaims(host), ...ofSystem(host), ...ofTime(host, by)]
      : [notHeard]),
    ...ofReceipts(host),
  ].sort(([a], [b]) => conditions.indexOf(a) - conditions.indexOf(b));
  return { condition: reasons[0]?.[0] ?? 'well', reasons: reasons.map(([, sentence]) => sentence) };
}

const notHeard: Reason = ['unknown', 'No receipt of it is known here.'];

function ofRuns({ runs, restartNeeded }: PageHost): Reason[] {
  const last = runs.at(-1);
  if (last === undefined) return [['unknown', 'It has taken no bundle yet.']];
  if (!goodStates.has(last.state)) return [['unwell', `Its last run: ${outcomeText(last)}.`]];
  return last.state === 'pending' || restartNeeded
    ? [['waits', 'What is installed runs after a restart.']]
    : [];
}

/** It can call for somebody, and never makes a host well. */
function ofClaims({ agentSays, found }: PageHost): Reason[] {
  const reasons: Reason[] = [];
  const bad = agentSays.findLast(({ state }) => !goodStates.has(state));
  if (bad !== undefined) reasons.push(['unwell', `Its agent says: ${outcomeText(bad)}.`]);
  const [first, ...others] = found;
  if (first !== undefined) {
    const more = others.length === 0 ? '' : `, and ${others.length} more`;
    reasons.push(['unwell', `Its agent can’t use what somebody brought, or can’t read it: ${first}${more}.`]);
  }
  return reasons;
}

function ofSystem({ failedUnits = [], restartNeeded, release, floor, held, runs }: PageHost): Reason[] {
  const reasons: Reason[] = [];
  if (failedUnits.length > 0) reasons.push(['unwell', 'Units have failed.']);
  if (held.length > 0)
    reasons.push([
      'unwell',
      `A person at the machine holds ${held.join(', ')}: not taken, until something newer comes.`,
    ]);
  if (restartNeeded || runs.length === 0) return reasons;
  if (release === undefined)
    reasons.push(['unknown', 'What it runs is no release that its receipts tell of.']);
  else if (floor !== undefined && release < floor)
    reasons.push(['unwell', `It went back to release ${release}, after it had taken ${floor}.`]);
  else if (release !== floor) reasons.push(['unknown', `It runs release ${release} and has not kept it.`]);
  return reasons;
}

function ofTime({ collected }: PageHost, { now, staleAfter }: JudgedBy): Reason[] {
  const days = daysSince(collected, now);
  if (days === undefined) return [['unknown', 'When its newest receipt came is not known here.']];
  if (days < -1) return [['unknown', 'Its newest receipt came in the future, by the clock of this desk.']];
  if (days > staleAfter) return [['stale', `Nothing has been heard of it for ${Math.floor(days)} days.`]];
  return [];
}

function ofReceipts({ unreadable, missing, isKeyReplaced, returned }: PageHost): Reason[] {
  const reasons: Reason[] = [];
  if (isKeyReplaced === true)
    reasons.push([
      'unknown',
      'The key kept here for it is one that was replaced: collect its receipts with --enrol to believe the present one again.',
    ]);
  if (missing !== undefined)
    reasons.push([
      'unknown',
      `Receipt ${missing} of it was here and is not any more; those that are here are older. Collect it again, or bring it back from the other desk.`,
    ]);
  if (unreadable > 0)
    reasons.push([
      'unknown',
      `Of the receipts kept here ${unreadable} can’t be read, or are not signed by its key: there may be newer news in them.`,
    ]);
  if (returned) reasons.push(['unknown', 'It was retired, and has reported since.']);
  return reasons;
}

/** Undefined where it is no time. */
export function daysSince(at: string | undefined, now: Date): number | undefined {
  const days = (now.getTime() - Date.parse(at ?? '')) / dayMilliseconds;
  return Number.isFinite(days) ? days : undefined;
}
