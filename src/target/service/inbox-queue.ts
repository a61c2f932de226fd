/**
 * What to do with each file of the inbox right now. Copies arrive slowly, pause, and end without notice. So a file is ready when its signed
 * size is there, and bad only once it has been at rest; one that is truncated, or has its full size but other contents (copiers that
 * allocate first), is bad only once it has been still for the patience of the settings. Rest is observed on a monotonic clock, never read
 * from a file’s times.
 */
import { dirname } from 'node:path';
import { encryptedExtension } from '../../core/bundle/encrypted.ts';
import { hasErrno } from '../../core/errno.ts';
import { messageOf, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { Wait } from '../../core/run/waits.ts';
import { arrivedText } from '../../core/size.ts';
import type { Candidate } from '../../media/inbox.ts';
import { keyringVersion } from '../machine/keyring.ts';
import type { Machine } from '../machine/machine.ts';
import type { InHand } from '../update/in-hand.ts';
import { Postponed, type Why } from '../update/postponed.ts';
import { Unreadable } from '../update/unreadable.ts';
import { InboxRounds } from './inbox-rounds.ts';
import { fingerprintOf, hasGrown, isUnchanged, type Judged, judgeFile } from './judge-file.ts';

/** As it was when it was looked at: a carrier may replace it while it is being installed. */
export interface Found {
  readonly candidate: Candidate;
  readonly fingerprint: string;
}

export type Look =
  /** `isGood`: as far as its head tells. Anything else is taken to be refused. */
  | (Found & { readonly action: 'take'; readonly isGood: boolean })
  /** It has ended the agent too often, or does not have the name of a bundle. */
  | (Found & { readonly action: 'set-aside'; readonly code: ReasonCode; readonly why: string })
  /** `again` milliseconds from now at the latest. */
  | {
      readonly action: 'wait';
      /** Bytes are missing, or the last try ended with “not now”. */
      readonly reason: 'incomplete' | 'deferred';
      readonly candidate: Candidate;
      readonly again: number;
      readonly present: number;
      readonly expected: number | undefined;
    };

/**
 * Files whose last appearance is remembered. Those beyond are looked at as if for the first time: if the oldest were forgotten instead, a
 * round over more files than this would recognise none of them again, and none would ever have been at rest.
 */
const mostSeen = 20_000;
/** Milliseconds spent judging files nobody has looked at yet before what is ready is taken. */
const mostJudging = 2000;

interface Seen {
  readonly fingerprint: string;
  readonly inode: number;
  /** Monotonic time since which the file has looked like this. */
  readonly since: number;
  readonly size: number;
  /** A regular file without a single byte. */
  readonly isEmpty: boolean;
  /** The last round in which it was met. */
  round: number;
  /** Signed size, once the head has been verified. */
  expected: number | undefined;
  /** What reading it showed; holds while it looks the same and the same keys are in effect. */
  verdict?: { readonly is: 'short' | 'bad'; readonly keyring: number };
  /** Why it is not taken yet. */
  why?: Wait;
}

interface Stuck {
  readonly fingerprint: string;
  readonly why: Omit<Wait, 'path'>;
}

export class InboxQueue {
  readonly #machine: Machine;
  readonly #inHand: InHand;
  readonly #seen = new Map<string, Seen>();
  readonly #deferred: Postponed;
  readonly #unreadable: Unreadable;
  /** Files that are finished with but could not be moved away; not to be taken over and over. */
  readonly #stuck = new Map<string, Stuck>();
  readonly #rounds: InboxRounds;
  /** Files read in the current look. */
  #judged = 0;

  constructor(machine: Machine, inHand: InHand) {
    this.#machine = machine;
    this.#inHand = inHand;
    this.#deferred = new Postponed(machine.clock);
    this.#unreadable = new Unreadable(machine);
    const onEnd = (all: ReadonlySet<string> | undefined) => this.#forgetOthers(all);
    this.#rounds = new InboxRounds(machine, { unreadable: this.#unreadable, onEnd });
  }

  /** The file has just changed. */
  hint(path: string): void {
    this.#rounds.hint(path);
  }

  /** Whether it is there, as far as the last looks tell. */
  knows(path: string): boolean {
    return this.#seen.has(path);
  }

  /** There was more than one look covers: the next continues from there. */
  get hasMore(): boolean {
    return this.#rounds.hasMore;
  }

  /** Everything known to be there and not taken yet, and what can’t be read. */
  waits(): Wait[] {
    const deferred = this.#deferred.waits();
    const named = new Set(deferred.map(({ path }) => path));
    const others = [...this.#seen].flatMap(([path, { why }]) => (why && !named.has(path) ? [why] : []));
    const stuck = [...this.#stuck].map(([path, { why }]) => ({ path, ...why }));
    return [...this.#unreadable.waits(), ...deferred, ...stuck, ...others];
  }

  /**
   * What has just changed, and a thousand of the others, cheapest first: what costs more, or failed before, comes last. Threat: a thousand
   * files, each slow to examine, in front of a good one. So each result is given as soon as it is found, and a look that takes too long
   * ends.
   */
  async *look(): AsyncGenerator<Look, void, void> {
    const { clock } = this.#machine;
    const until = clock.monotonic() + mostJudging;
    this.#judged = 0;
    const candidates = (await this.#rounds.next()).toSorted((a, b) => this.#costOf(a) - this.#costOf(b));
    for (const [i, candidate] of candidates.entries()) {
      if (this.#judged > 0 && clock.monotonic() > until) {
        this.#rounds.leave(candidates.slice(i));
        break;
      }
      yield* await this.#lookAtOne(candidate);
    }
  }

  #costOf({ path, format, misnamed }: Candidate): number {
    if (misnamed !== undefined) return 4;
    if (this.#seen.get(path)?.verdict !== undefined || this.#deferred.knows(path)) return 3;
    return path.toLowerCase().endsWith(encryptedExtension) ? 2 : format === 'classic' ? 1 : 0;
  }

  #forgetOthers(all: ReadonlySet<string> | undefined): void {
    for (const [path, { round }] of this.#seen)
      if (all === undefined ? round < this.#rounds.count - 1 : !all.has(path)) this.#seen.delete(path);
    if (all === undefined) return;
    this.#deferred.keepOnly(all);
    for (const path of this.#stuck.keys()) if (!all.has(path)) this.#stuck.delete(path);
  }

  /** Remembers that this file is finished with although it is still there; not one that has taken its place. */
  async markStuck({ candidate, fingerprint }: Found, detail: string): Promise<void> {
    if ((await fingerprintOf(this.#machine, candidate)) === undefined) return;
    const since = this.#machine.clock.now().toISOString();
    const why = { code: 'io-error', detail: `it is finished but cannot be moved away: ${detail}`, since };
    this.#stuck.set(candidate.path, { fingerprint, why });
  }

  /** Leaves the file alone for a while, longer each time; one that changes, or is another by now, is looked at at once. */
  async defer({ candidate, fingerprint }: Found, why: Omit<Why, 'isOurs'>): Promise<void> {
    const { path } = candidate;
    if ((await fingerprintOf(this.#machine, candidate)) === undefined) return;
    this.#deferred.backOff({ path, fingerprint }, { ...why, isOurs: true });
  }

  /** It needs no more patience. */
  done({ path }: Candidate): void {
    this.#deferred.delete(path);
  }

  /** What it waits for, as already reported and recorded; undefined if it is new. */
  knownWait({ path }: Candidate): ReasonCode | undefined {
    const fingerprint = this.#seen.get(path)?.fingerprint;
    return fingerprint === undefined ? undefined : this.#deferred.whyOf({ path, fingerprint });
  }

  /** Whether it has been still for so long that nobody can be writing it any more. */
  hasRested({ path }: Candidate): boolean {
    const { clock, settings } = this.#machine;
    const since = this.#seen.get(path)?.since;
    return since !== undefined && clock.monotonic() - since >= settings.inboxPatience * 1000;
  }

  /** Whether another file is there by now, or the same with other contents. */
  async hasChanged({ candidate, fingerprint }: Found): Promise<boolean> {
    return !isUnchanged(fingerprint, await fingerprintOf(this.#machine, candidate));
  }

  /** Whatever is wrong with one file does not hold up the others. */
  async #lookAtOne(candidate: Candidate): Promise<Look[]> {
    try {
      return await this.#lookAt(candidate);
    } catch (error) {
      if (error instanceof NixmakerError && error.code === 'medium-stalled')
        this.#unreadable.note(candidate.path, error);
      else
        this.#machine.emit({
          event: 'fault',
          level: 'error',
          source: candidate.path,
          detail: messageOf(error),
        });
      return [];
    }
  }

  async #lookAt(candidate: Candidate): Promise<Look[]> {
    const { path } = candidate;
    const seen = await this.#see(candidate);
    if (seen === undefined || this.#stuck.get(path)?.fingerprint === seen.fingerprint) return [];
    const { fingerprint } = seen;
    const found = { candidate, fingerprint };
    const pause = this.#deferred.left({ path, fingerprint });
    const wait = { action: 'wait', candidate, present: seen.size, expected: seen.expected } as const;
    if (pause > 0) return [{ ...wait, reason: 'deferred', again: pause }];
    const why = await this.#inHand.whySetAside(candidate);
    if (why !== undefined) return [{ ...found, action: 'set-aside', code: 'cut-off-before', why }];
    const judgement = candidate.misnamed === undefined ? await this.#judge(candidate, seen) : 'short';
    if (judgement === 'whole') return [{ ...found, action: 'take', isGood: true }];
    const left = this.#leftOf(seen, judgement);
    if (left > 0) {
      this.#noteWhy(candidate, seen, left);
      return [{ ...wait, expected: seen.expected, reason: 'incomplete', again: left }];
    }
    if (candidate.misnamed === undefined) return [{ ...found, action: 'take', isGood: false }];
    return [{ ...found, action: 'set-aside', code: 'misnamed', why: candidate.misnamed }];
  }

  /** Milliseconds that it still has to stay unchanged. */
  #leftOf({ since }: Seen, judgement: 'short' | 'bad'): number {
    const { clock, settings } = this.#machine;
    const rest = (judgement === 'short' ? settings.inboxPatience : settings.inboxRest) * 1000;
    return since + rest - clock.monotonic();
  }

  /** How it looks now; undefined if there is no such file. */
  async #see(candidate: Candidate): Promise<Seen | undefined> {
    const { path } = candidate;
    // A folder that may be listed but not entered is reported once, not file by file.
    const now = await fingerprintOf(this.#machine, candidate, (error) =>
      this.#unreadable.note(hasErrno(error, 'EACCES') ? dirname(path) : path, error),
    );
    if (now === undefined) return undefined;
    const before = this.#seen.get(path);
    const { inode, size, isEmpty, text: fingerprint } = now;
    const [round, since] = [this.#rounds.count, this.#machine.clock.monotonic()];
    const expected = before !== undefined && hasGrown(before, now) ? before.expected : undefined;
    const seen: Seen =
      before?.fingerprint === fingerprint
        ? before
        : { fingerprint, inode, since, size, isEmpty, round, expected };
    seen.round = round;
    if (this.#seen.size < mostSeen || this.#seen.has(path)) this.#seen.set(path, seen);
    return seen;
  }

  #noteWhy({ path, misnamed }: Candidate, seen: Seen, left: number): void {
    const now = this.#machine.clock.now();
    const detail = misnamed ?? arrivedText(seen.size, seen.expected);
    const { since, again } = seen.why ?? {
      since: now.toISOString(),
      again: new Date(now.getTime() + left).toISOString(),
    };
    const code = misnamed === undefined ? 'incomplete' : 'misnamed';
    seen.why = given({ path, code, detail, since, again });
  }

  async #judge(candidate: Candidate, seen: Seen): Promise<'whole' | 'short' | 'bad'> {
    // With a classic pair, other files count as well.
    const isAlone = candidate.format === 'bundle';
    if (isAlone && seen.expected !== undefined && seen.size < seen.expected) return 'short';
    // Nothing to read: however many there are, they cost no more than a look.
    if (isAlone && seen.isEmpty) return 'short';
    const keyring = keyringVersion(this.#machine);
    if (seen.verdict?.keyring === keyring) return seen.verdict.is;
    this.#judged += 1;
    const { is, expected, error }: Judged = await this.#inHand.looking(candidate, () =>
      judgeFile(this.#machine, candidate),
    );
    seen.expected = expected ?? seen.expected;
    if (is === 'unreadable') {
      this.#unreadable.note(candidate.path, error);
      return 'short';
    }
    if (isAlone && is !== 'whole') seen.verdict = { is, keyring };
    return is;
  }
}
