/** A host’s condition as far as the desk knows it, and the reasons. The unknown is never reported as well. */

import { printable } from '../core/errors.ts';
import { type DamageReport, damagedNames } from '../core/run/damage.ts';
import { outcomeText } from '../core/run/state-words.ts';

export interface PageRun {
  readonly at: string;
  readonly state: string;
  readonly code: string | undefined;
  readonly sequence: number | undefined;
  /** The release’s NixOS label, `26.05.20261101.abcdef`, if its system’s name has one. */
  readonly name: string | undefined;
}

export interface PageClaim {
  readonly state: string;
  readonly code: string | undefined;
  readonly text: string;
}

export interface PageStaged {
  readonly sequence: number;
  readonly since: string;
  readonly code?: string | undefined;
  readonly detail?: string | undefined;
}

export interface PageHost {
  readonly host: string;
  /** Whether any receipt from it counts here. */
  readonly heard: boolean;
  /** When its newest receipt was collected, by this desk’s clock; undefined if unknown. */
  readonly collected: string | undefined;
  /** The same receipt’s time by the host’s own clock, which may show anything. */
  readonly at: string | undefined;
  /** Receipts kept here that can’t be read, or are not signed by its key. */
  readonly unreadable: number;
  /** Number of a receipt that was once here and is newer than all that are. */
  readonly missing?: number | undefined;
  /** Its newest receipts have lower numbers than one from before. */
  readonly hasGoneBack?: boolean;
  /** The key kept for it was replaced, and is not trusted. */
  readonly isKeyReplaced?: boolean;
  /** It was retired, and has reported since. */
  readonly returned: boolean;
  /** Oldest first. */
  readonly runs: readonly PageRun[];
  readonly detail: string | undefined;
  /** What the host’s agent says about bundles that its root never saw, oldest first: unchecked. */
  readonly agentSays: readonly PageClaim[];
  /** What its agent can’t read, or has found under a wrong name, with the code: unchecked. */
  readonly found: readonly string[];
  /** Sequence of the running release. */
  readonly release: number | undefined;
  /** The newest sequence it has taken. */
  readonly floor: number | undefined;
  /** Releases that a person at the machine does not want taken (again). */
  readonly held: readonly number[];
  /** Store paths that are damaged on its disk; undefined if it has not looked. */
  readonly damaged?: DamageReport | undefined;
  /** The release that is in its store and waits for its time, and why. */
  readonly staged?: PageStaged | undefined;
  readonly versions: {
    readonly nixos?: string | undefined;
    readonly nixmaker?: string | undefined;
    readonly kernel?: string | undefined;
  };
  readonly failedUnits: readonly string[] | undefined;
  readonly freeBytes: number | undefined;
  /** Label and value of what else is known. */
  readonly facts?: readonly (readonly [string, string | undefined])[];
  readonly restartNeeded: boolean;
  /** Its replaced installations, in words. */
  readonly former: readonly string[];
  /** The ring it is in, if there are rings. */
  readonly ring?: string | undefined;
  /** Newest bundle at the desk, if bundles were given to compare with. */
  readonly available?: { readonly sequence: number; readonly bytes: number } | undefined;
}

/** Worst first. */
export const conditions = ['unwell', 'unknown', 'stale', 'waits', 'well'] as const;
export type Condition = (typeof conditions)[number];

export const conditionWords: Readonly<Record<Condition, string>> = {
  unwell: 'needs attention',
  unknown: 'unknown',
  stale: 'silent',
  waits: 'waiting',
  well: 'well',
};

export interface Judgement {
  readonly condition: Condition;
  /** Sentences; none if all is well. */
  readonly reasons: readonly string[];
}

export interface JudgedBy {
  readonly now: Date;
  /** Days without a receipt after which a host is called out. */
  readonly staleAfter: number;
}

const dayMilliseconds = 86_400_000;
/** What waits for its time or for a restart has gone well so far. */
export const goodStates: ReadonlySet<string> = new Set(['committed', 'superseded', 'pending', 'staged']);

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

const notHeard: Reason = ['unknown', 'No receipts yet.'];

function ofRuns({ runs, restartNeeded, staged }: PageHost): Reason[] {
  const last = runs.at(-1);
  if (last === undefined) return [['unknown', 'It has not taken a bundle yet.']];
  if (!goodStates.has(last.state)) return [['unwell', `Its last run: ${outcomeText(last)}.`]];
  const restart: Reason[] =
    last.state === 'pending' || restartNeeded
      ? [['waits', 'The installed system runs after a restart.']]
      : [];
  return staged === undefined ? restart : [...restart, ['waits', stagedText(staged)]];
}

const stagedText = ({ sequence, since, code, detail }: PageStaged): string => {
  const why = [code, detail].filter((part) => part !== undefined).join(': ');
  return printable(
    `Release ${sequence} is staged there since ${since.slice(0, 16).replace('T', ' ')} (its clock)${why === '' ? '' : `: ${why}`}.`,
  );
};

/** It can call for attention, but never makes a host well. */
function ofClaims({ agentSays, found }: PageHost): Reason[] {
  const reasons: Reason[] = [];
  const bad = agentSays.findLast(({ state }) => !goodStates.has(state));
  if (bad !== undefined) reasons.push(['unwell', `Its agent reports: ${outcomeText(bad)}.`]);
  const [first, ...others] = found;
  if (first !== undefined) {
    const more = others.length === 0 ? '' : `, and ${others.length} more`;
    reasons.push(['unwell', `Its agent cannot use or read something it was given: ${first}${more}.`]);
  }
  return reasons;
}

function ofSystem(host: PageHost): Reason[] {
  const { failedUnits = [], restartNeeded, release, floor, held, runs } = host;
  const reasons: Reason[] = ofDisk(host);
  if (failedUnits.length > 0) reasons.push(['unwell', failedText(failedUnits)]);
  if (held.length > 0)
    reasons.push([
      'unwell',
      `Held at the machine: ${held.join(', ')}. Not taken again until something newer comes.`,
    ]);
  if (restartNeeded || runs.length === 0) return reasons;
  if (release === undefined) reasons.push(['unknown', 'It runs a system that none of its receipts mention.']);
  else if (floor !== undefined && release < floor)
    reasons.push(['unwell', `It went back to release ${release} after taking ${floor}.`]);
  else if (release !== floor)
    reasons.push(['unknown', `It runs release ${release} but has not confirmed it.`]);
  return reasons;
}

/** The desk is told what to send: whatever has the paths will do, and the release that runs has all of them. */
function ofDisk({ damaged, release }: PageHost): Reason[] {
  if (damaged === undefined || damaged.paths.length + damaged.more === 0) return [];
  const what = `Damaged on its disk: ${damagedNames(damaged.paths, damaged.more)}.`;
  const which = release === undefined ? 'its present release' : `release ${release}`;
  return [['unwell', `${what} Bring it ${which} again.`]];
}

/** A machine may have dozens of failed units; the details list them all. */
function failedText(units: readonly string[]): string {
  const named = units.slice(0, 3).join(', ');
  return units.length > 3 ? `Failed: ${named} and ${units.length - 3} more.` : `Failed: ${named}.`;
}

function ofTime({ collected }: PageHost, { now, staleAfter }: JudgedBy): Reason[] {
  const days = daysSince(collected, now);
  if (days === undefined) return [['unknown', 'It is not known when its newest receipt was collected.']];
  if (days < -1)
    return [['unknown', 'Its newest receipt was collected in the future, by this desk’s clock.']];
  if (days > staleAfter) return [['stale', `Not seen for ${Math.floor(days)} days.`]];
  return [];
}

function ofReceipts({ unreadable, missing, hasGoneBack, isKeyReplaced, returned }: PageHost): Reason[] {
  const reasons: Reason[] = [];
  if (isKeyReplaced === true)
    reasons.push([
      'unknown',
      'The key stored for it here was replaced before. Collect its receipts with --enrol to trust its present key again.',
    ]);
  if (hasGoneBack === true)
    reasons.push([
      'unknown',
      'It was restored from a backup, or two machines have its key: its newest receipts have lower numbers than earlier ones (receipts-went-back).',
    ]);
  if (missing !== undefined)
    reasons.push([
      'unknown',
      `Its receipt ${missing} was here and is gone; those that are left are older. Collect it again, or copy it from the other desk.`,
    ]);
  if (unreadable > 0)
    reasons.push([
      'unknown',
      `${unreadable} of its stored receipts cannot be read or are not signed by its key; they may hold newer news.`,
    ]);
  if (returned) reasons.push(['unknown', 'It was retired, but has reported since.']);
  return reasons;
}

/** Undefined if it isn’t a time. */
export function daysSince(at: string | undefined, now: Date): number | undefined {
  const days = (now.getTime() - Date.parse(at ?? '')) / dayMilliseconds;
  return Number.isFinite(days) ? days : undefined;
}
