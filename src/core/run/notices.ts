/** What a person at a screen is told and asked, by the facts that any user of the machine may read. Pure. */
import type { JournalRecord } from './journal.ts';
import { lastOfEach } from './journal.ts';
import { isEnd } from './lifecycle.ts';
import type { ApprovalQuestion, MediumWord } from './screen.ts';

/** What a person can answer. */
export type Answer = 'restart' | 'later' | 'keep' | 'approve' | 'refuse';

export const noticeKinds = [
  'restart',
  'restart-for-the-rest',
  'keep',
  'approve',
  'rolled-back',
  'not-installed',
  'medium-committed',
  'medium-pending',
  'medium-staged',
  'medium-part',
  'medium-not-installed',
  'medium-done',
  'medium-nothing',
  'medium-unreadable',
  'medium-misnamed',
  'medium-silent',
] as const;

export type NoticeKind = (typeof noticeKinds)[number];

export interface Notice {
  /** The same for the same thing, which is told once and asked until it is settled. */
  readonly id: string;
  readonly kind: NoticeKind;
  readonly sequence?: number | undefined;
  readonly code?: string | undefined;
  /** Of a medium: it must be unmounted before it is removed. */
  readonly eject?: boolean;
  /** Of one of several media: which to bring next. */
  readonly bring?: { readonly part: number; readonly of: number } | undefined;
  /** Seconds left to answer. */
  readonly secondsLeft?: number;
  /** Empty: news, which nobody needs to answer. */
  readonly answers: readonly Answer[];
}

export interface ScreenFacts {
  readonly bootId: string;
  /** Seconds since the machine was started. */
  readonly uptime: number;
  readonly now: Date;
  /** Root’s journal and the agent’s, merged. */
  readonly records: readonly JournalRecord[];
  /** What only a restart brings from the installed system. */
  readonly restartChanges: readonly string[];
  readonly word: MediumWord | undefined;
  readonly question: ApprovalQuestion | undefined;
}

/** Milliseconds for which an ending is news. */
const newsFor = 7 * 86_400_000;

export function findNotices(facts: ScreenFacts): Notice[] {
  const last = lastOfEach(facts.records);
  return [
    ...approvalNotices(facts),
    ...(keepNotice(facts, last) ?? restartNotices(facts, last)),
    ...endingNotices(facts, last),
    ...mediumNotices(facts),
  ];
}

function approvalNotices({ question, bootId, uptime }: ScreenFacts): Notice[] {
  if (question === undefined || question.bootId !== bootId || question.until <= uptime) return [];
  const { id, sequence, until } = question;
  const secondsLeft = Math.floor(until - uptime);
  return [{ id: `approve ${id}`, kind: 'approve', sequence, secondsLeft, answers: ['approve', 'refuse'] }];
}

/** The machine was restarted into the new system, and waits for a person’s word on it. */
function keepNotice({ bootId, uptime }: ScreenFacts, last: readonly JournalRecord[]): [Notice] | undefined {
  const pending = last.findLast(({ state }) => state === 'pending');
  if (pending === undefined || pending.askedIn !== bootId || typeof pending.confirmBy !== 'number')
    return undefined;
  const secondsLeft = Math.floor(pending.confirmBy - uptime);
  if (secondsLeft <= 0) return undefined;
  const { transaction, sequence } = pending;
  return [{ id: `keep ${transaction}`, kind: 'keep', sequence, secondsLeft, answers: ['keep'] }];
}

function restartNotices({ bootId, restartChanges }: ScreenFacts, last: readonly JournalRecord[]): Notice[] {
  const pending = last.findLast(({ state }) => state === 'pending');
  const answers = ['restart', 'later'] as const;
  if (pending !== undefined) {
    if (pending.bootId !== bootId) return [];
    const { transaction, sequence } = pending;
    return [{ id: `restart ${transaction}`, kind: 'restart', sequence, answers }];
  }
  // A bundle that was already in place has installed nothing.
  const switched = last.findLast((r) => r.state === 'committed' && r.generation !== undefined);
  if (switched?.bootId !== bootId || restartChanges.length === 0) return [];
  const { transaction, sequence } = switched;
  return [{ id: `restart ${transaction}`, kind: 'restart-for-the-rest', sequence, answers }];
}

/** How the last run ended, where that is bad news; the medium’s word tells of its own. */
function endingNotices({ word, now }: ScreenFacts, last: readonly JournalRecord[]): Notice[] {
  const ended = last.findLast(({ state }) => isEnd(state) && state !== 'superseded');
  if (ended === undefined || (ended.state !== 'rolled-back' && ended.state !== 'failed')) return [];
  const { transaction, sequence, code, at } = ended;
  if (now.getTime() - Date.parse(at) > newsFor) return [];
  if (word?.run?.transaction === transaction && word.run.state === ended.state) return [];
  const kind = ended.state === 'rolled-back' ? 'rolled-back' : 'not-installed';
  return [{ id: `${ended.state} ${transaction}`, kind, sequence, code, answers: [] }];
}

function mediumNotices({ word, bootId }: ScreenFacts): Notice[] {
  if (word === undefined || word.bootId !== bootId) return [];
  const { sequence, code } = word.run ?? {};
  const kind = mediumKind(word);
  const { at, eject, bring } = word;
  return [{ id: `medium ${at}`, kind, sequence, code, eject, bring, answers: [] }];
}

function mediumKind({ without, run, bring }: MediumWord): NoticeKind {
  if (without !== undefined) return `medium-${without}`;
  if (run === undefined) return 'medium-done';
  if (run.state === 'committed' || run.state === 'pending' || run.state === 'staged')
    return `medium-${run.state}`;
  if (run.code === 'parts-missing' && bring !== undefined) return 'medium-part';
  return 'medium-not-installed';
}
