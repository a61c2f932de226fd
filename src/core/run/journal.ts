/** What the journal says: its records, and what follows from them. Pure. */
import { isLasting } from '../schema.ts';
import * as z from '../zod.ts';
import { isEnd, states } from './lifecycle.ts';
import type { HealthResult } from './receipt.ts';

const record = z.looseObject({
  schema: z.literal(1),
  at: z.string(),
  transaction: z.string(),
  state: z.enum(states),
  source: z.string(),
  code: z.optional(z.string()),
  detail: z.optional(z.string()),
  sequence: z.optional(z.number()),
  manifestDigest: z.optional(z.string()),
  toplevel: z.optional(z.string()),
  bootId: z.optional(z.string()),
});

export type JournalRecord = z.infer<typeof record>;
export const recordParser = record;

/**
 * For a line in an unknown form: the run it is about. A machine that was rolled back to an older nixmaker has the newer one’s
 * journal.
 */
export const foreignParser = z.looseObject({ transaction: z.string() });

/**
 * Without the steps of runs that a newer nixmaker has taken further than we can read. Threat: one that ended in a way unknown to us
 * looks as if it had been cut off, and would be resumed, or rolled back, in a system that has nothing to do with it.
 */
export function withoutBeyond(
  records: readonly JournalRecord[],
  beyond: ReadonlySet<string>,
): readonly JournalRecord[] {
  if (beyond.size === 0) return records;
  return records.filter(({ transaction, state }) => !beyond.has(transaction) || isEnd(state));
}

const count = z.int().check(z.gte(0));

/** For runs no longer in the journal, by outcome, and for damaged lines. The file’s first line. */
export const earlierParser = z.looseObject({
  schema: z.literal(1),
  earlier: z.looseObject({
    states: z.record(z.string(), count),
    codes: z.record(z.string(), count),
    unreadable: count,
  }),
});

export type Earlier = z.infer<typeof earlierParser>['earlier'];
export const nothingEarlier: Earlier = { states: {}, codes: {}, unreadable: 0 };

/** How many lines could not be read, and how many of those are in an unknown form: a newer nixmaker’s. */
export interface Unread {
  readonly unreadable: number;
  readonly newer?: number;
}

/** For people; undefined if every line was read. */
export function unreadText({ unreadable, newer = 0 }: Unread): string | undefined {
  if (unreadable === 0) return undefined;
  if (unreadable === newer)
    return `${newer} lines of the journal were written by a newer nixmaker, and were skipped`;
  const ofThem = newer === 0 ? '' : `, ${newer} of them in a form that a newer nixmaker may have written`;
  return `${unreadable} lines of the journal cannot be read${ofThem}`;
}

/** Where each run stands, in the order in which they began: its end or, without one, its last line. */
export function lastOfEach(records: readonly JournalRecord[]): JournalRecord[] {
  const last = new Map<string, JournalRecord>();
  for (const record of records) {
    const known = last.get(record.transaction);
    if (known === undefined || !isEnd(known.state)) last.set(record.transaction, record);
  }
  return [...last.values()];
}

/**
 * Root’s journal and the agent’s merged. Each keeps its own order, and a run in both begins and ends with the agent’s lines: the
 * clock, which may have been set back meanwhile, decides only if neither says anything.
 */
export function mergeJournals(
  root: readonly JournalRecord[],
  agent: readonly JournalRecord[],
): JournalRecord[] {
  const asked = new Set(agent.map((r) => r.transaction));
  const begun = new Set<string>();
  const leftOfRoot = new Map<string, number>();
  for (const { transaction } of root) leftOfRoot.set(transaction, (leftOfRoot.get(transaction) ?? 0) + 1);
  const merged: JournalRecord[] = [];
  let [i, j] = [0, 0];
  // A time that went back counts as the newest before it.
  let [rootTime, agentTime] = ['', ''];
  for (;;) {
    const [r, a] = [root[i], agent[j]];
    if (r === undefined || a === undefined) return [...merged, ...root.slice(i), ...agent.slice(j)];
    rootTime = r.at > rootTime ? r.at : rootTime;
    agentTime = a.at > agentTime ? a.at : agentTime;
    const rootWaits = asked.has(r.transaction) && !begun.has(r.transaction);
    const agentWaits = isEnd(a.state) && (leftOfRoot.get(a.transaction) ?? 0) > 0;
    if (rootWaits === agentWaits ? rootTime < agentTime : agentWaits) {
      leftOfRoot.set(r.transaction, (leftOfRoot.get(r.transaction) ?? 0) - 1);
      merged.push(r);
      i += 1;
    } else {
      begun.add(a.transaction);
      merged.push(a);
      j += 1;
    }
  }
}

/** Reasons for a rollback that lie in the machine, and pass. */
const passing: ReadonlySet<unknown> = new Set(['interrupted', 'no-space', 'nix-unavailable']);

/** The newest run that changed the machine for good; a bundle that was already in place has changed nothing. @param last of each run */
export const lastCommit = (last: readonly JournalRecord[]): JournalRecord | undefined =>
  last.findLast((r) => r.state === 'committed' && isLasting(r.operation) && typeof r.generation === 'number');

/** Reasons for an end without a way back that lie in the system. */
const telling: ReadonlySet<unknown> = new Set([
  'activation-failed',
  'rollback-failed',
  'no-way-back',
  'left-unwell',
]);

/** Operations whose failure does not mean that a system can’t be installed here. */
const tryingOut: ReadonlySet<unknown> = new Set(['test', 'dry-activate']);

/** What a line says about its manifest; undefined if nothing. */
export function verdictOn({ state, code, operation }: JournalRecord): 'failed' | 'good' | undefined {
  if (tryingOut.has(operation)) return undefined;
  if (state === 'committed') return 'good';
  // A run that was cut off, or lacked room, says nothing about its system.
  if (state === 'rolled-back' && !passing.has(code)) return 'failed';
  return state === 'failed' && telling.has(code) ? 'failed' : undefined;
}

/** Manifests whose activation failed here: not tried again until told to (DESIGN §6). Ones only tried out are not included. */
export function failedDigests(records: readonly JournalRecord[]): Set<string> {
  const failed = new Set<string>();
  for (const record of records) {
    const { manifestDigest } = record;
    if (manifestDigest === undefined) continue;
    const verdict = verdictOn(record);
    if (verdict === 'good') failed.delete(manifestDigest);
    if (verdict === 'failed') failed.add(manifestDigest);
  }
  return failed;
}

/** The floor that was reached according to a line; undefined if it says nothing about it. */
export function floorOf(record: JournalRecord): number | undefined {
  const { state, code, sequence, manifestDigest, operation, downgradeFrom, generation } = record;
  // What was only tried out raises no floor; what is left in place, well or not, does.
  const stays = state === 'committed' || (state === 'failed' && code === 'left-unwell');
  if (!stays || !isLasting(operation)) return undefined;
  // A bundle that was already installed has done nothing; it may be waiting for a restart, and not be committed at all.
  if (sequence === undefined || manifestDigest === undefined || generation === undefined) return undefined;
  return typeof downgradeFrom === 'number' ? downgradeFrom : sequence;
}

/** The signed time of what was committed, in milliseconds; undefined if the line names none. */
export function signedTimeOf({ createdAt }: JournalRecord): number | undefined {
  const time = typeof createdAt === 'string' ? Date.parse(createdAt) : Number.NaN;
  return Number.isFinite(time) ? time : undefined;
}

/** Threat: the agent’s journal is its own, and whoever has taken it over can write anything. */
const healthParser = z.array(
  z.object({ check: z.string(), ok: z.boolean(), detail: z.optional(z.string()) }),
);

/** A run’s health checks at its last look; undefined if it had none. */
export function healthOf(record: JournalRecord | undefined): readonly HealthResult[] | undefined {
  const parsed = healthParser.safeParse(record?.health);
  return parsed.success ? (parsed.data as readonly HealthResult[]) : undefined;
}

/** How many runs have ended, or stand, in each way. */
export type Totals = Pick<Earlier, 'states' | 'codes'>;

export function totalsOf(
  records: readonly JournalRecord[],
  { states, codes }: Totals = nothingEarlier,
): Totals {
  const totals = { states: { ...states }, codes: { ...codes } };
  for (const { state, code } of lastOfEach(records)) {
    totals.states[state] = (totals.states[state] ?? 0) + 1;
    if (code !== undefined) totals.codes[code] = (totals.codes[code] ?? 0) + 1;
  }
  return totals;
}
