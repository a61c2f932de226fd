/**
 * What to do with each file of the inbox right now. Copies arrive slowly, pause, and end without a word, so a file
 * is ready when its signed size is there, bad only when it has been at rest, and truncated, or of its full size with other contents
 * (copiers that allocate first), only when it has stood still for the patience of the settings. Rest is observed on a monotonic clock, never read off a file's times.
 */
import { lstat } from 'node:fs/promises';
import { readClassicHead } from '../../bundle/classic.ts';
import { hasHole } from '../../bundle/hole.ts';
import { encryptedExtension } from '../../core/bundle/encrypted.ts';
import { insteadOf } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { type Candidate, candidateAt, inboxWindows, mostOfWindow } from '../../media/inbox.ts';
import { keyringVersion } from '../machine/keyring.ts';
import type { Machine } from '../machine/machine.ts';
import type { InHand } from '../update/in-hand.ts';
import { examine, sourceOf } from '../update/open.ts';
import { Postponed } from '../update/postponed.ts';

export type Look =
  /** `isGood`: as far as its head tells. What is not is taken to be refused. */
  | { readonly action: 'take'; readonly candidate: Candidate; readonly isGood: boolean }
  /** It has ended the agent too often. */
  | { readonly action: 'set-aside'; readonly candidate: Candidate; readonly why: string }
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

/** A file that was deferred; one that has changed since is another. */
interface Deferred {
  readonly fingerprint: string;
  /** Milliseconds. */
  readonly pause: number;
}

/** The first pause, doubled each time, and the longest. Milliseconds. */
export const retryFrom = 2000;
const retryUpTo = 900_000;

/**
 * Files of which is known how they looked. Those beyond are looked at as if for the first time: were the oldest forgotten instead, a
 * round over more files than these would know none of them again, and none would ever have been at rest.
 */
const mostSeen = 20_000;
/** Files that were just said to have changed, and are looked at before all others. */
const mostHints = 256;
/** Milliseconds for which files that nobody has looked at yet are judged before what is ready is taken. */
const mostJudging = 2000;

interface Seen {
  readonly fingerprint: string;
  /** Monotonic time since which the file has looked like this. */
  readonly since: number;
  readonly size: number;
  /** A plain file without a byte. */
  readonly isEmpty: boolean;
  /** The last in which it was met. */
  round: number;
  /** Signed size, once the head could be verified. */
  expected: number | undefined;
  /** What was found out by reading it, and will not change while it looks like this and the same keys count. */
  verdict?: { readonly is: 'short' | 'bad'; readonly keyring: number };
}

export class InboxQueue {
  readonly #machine: Machine;
  readonly #inHand: InHand;
  readonly #seen = new Map<string, Seen>();
  readonly #deferred: Postponed<Deferred>;
  /** Files that are done with but could not be moved away; not to be taken over and over. */
  readonly #stuck = new Map<string, string>();
  readonly #hints = new Set<string>();
  /** Of the round that goes on: what is still to be listed, and what was listed and is still to be looked at. */
  #windows: AsyncGenerator<readonly Candidate[], void, void> | undefined;
  #left: readonly Candidate[] = [];
  #round = 0;
  /** Files read in the look that goes on. */
  #judged = 0;

  constructor(machine: Machine, inHand: InHand) {
    this.#machine = machine;
    this.#inHand = inHand;
    this.#deferred = new Postponed(machine.clock);
  }

  /** The file has changed just now. */
  hint(path: string): void {
    this.#hints.add(path);
    const [oldest] = this.#hints;
    if (this.#hints.size > mostHints && oldest !== undefined) this.#hints.delete(oldest);
  }

  /** Whether it is there, as far as the last looks tell. */
  knows(path: string): boolean {
    return this.#seen.has(path);
  }

  /** There was more than one look goes over: the next goes on from there. */
  get hasMore(): boolean {
    return this.#windows !== undefined || this.#left.length > 0;
  }

  /**
   * What has just changed, and a thousand of the others; of these the cheapest first: what costs more, or failed before, comes last.
   * Threat: a thousand files that each take long to be found out, in front of a good one. So each is given as it is found, and a look
   * that takes too long ends.
   */
  async *look(): AsyncGenerator<Look, void, void> {
    const { clock } = this.#machine;
    const until = clock.monotonic() + mostJudging;
    this.#judged = 0;
    const candidates = await this.#candidates();
    for (const [i, candidate] of candidates.entries()) {
      if (this.#judged > 0 && clock.monotonic() > until) {
        this.#left = candidates.slice(i);
        break;
      }
      yield* await this.#lookAtOne(candidate);
    }
  }

  async #candidates(): Promise<readonly Candidate[]> {
    const { policy, settings } = this.#machine;
    if (!policy.sources.inbox) return [];
    const hinted = [...this.#hints].flatMap((path) => candidateAt(settings.inbox, path) ?? []);
    this.#hints.clear();
    const others = this.#left.length > 0 ? this.#left : await this.#nextWindow();
    this.#left = [];
    const all = new Map([...hinted, ...others].map((candidate) => [candidate.path, candidate]));
    return [...all.values()].sort((a, b) => this.#costOf(a) - this.#costOf(b));
  }

  async #nextWindow(): Promise<readonly Candidate[]> {
    if (this.#windows === undefined) this.#round += 1;
    const isFirst = this.#windows === undefined;
    this.#windows ??= inboxWindows(this.#machine.settings.inbox);
    const { value: window = [], done } = await this.#windows.next().catch((error: unknown) => {
      this.#windows = undefined;
      throw error;
    });
    // The last is the only one that may be short of a thousand.
    const isLast = done === true || window.length < mostOfWindow;
    if (!isLast) return window;
    this.#windows = undefined;
    this.#forgetOthers(isFirst ? new Set(window.map((c) => c.path)) : undefined);
    return window;
  }

  #costOf({ path, format }: Candidate): number {
    if (this.#seen.get(path)?.verdict !== undefined || this.#deferred.noteOf(path) !== undefined) return 3;
    return path.toLowerCase().endsWith(encryptedExtension) ? 2 : format === 'classic' ? 1 : 0;
  }

  /** @param all that are there, where one window has held them */
  #forgetOthers(all: ReadonlySet<string> | undefined): void {
    for (const [path, { round }] of this.#seen)
      if (all === undefined ? round < this.#round - 1 : !all.has(path)) this.#seen.delete(path);
    if (all === undefined) return;
    this.#deferred.keepOnly(all);
    for (const path of this.#stuck.keys()) if (!all.has(path)) this.#stuck.delete(path);
  }

  /** Remembers that this very file is done with although it is still there. */
  async markStuck(candidate: Candidate): Promise<void> {
    const fingerprint = await fingerprintOf(candidate);
    if (fingerprint !== undefined) this.#stuck.set(candidate.path, fingerprint.text);
  }

  /** Leaves the file for a while, longer each time; a file that changes is looked at at once. */
  async defer(candidate: Candidate): Promise<void> {
    const fingerprint = (await fingerprintOf(candidate))?.text;
    if (fingerprint === undefined) return;
    const before = this.#deferred.noteOf(candidate.path);
    const again = before?.fingerprint === fingerprint ? before.pause * 2 : retryFrom;
    const pause = Math.min(again, retryUpTo);
    this.#deferred.postpone(candidate.path, pause, { fingerprint, pause });
  }

  /** Whether it has stood still for so long that nobody is at work on it any more. */
  hasRested({ path }: Candidate): boolean {
    const { clock, settings } = this.#machine;
    const since = this.#seen.get(path)?.since;
    return since !== undefined && clock.monotonic() - since >= settings.inboxPatience * 1000;
  }

  /** Whether the file has changed since it was last looked at. */
  async hasChanged(candidate: Candidate): Promise<boolean> {
    return (await fingerprintOf(candidate))?.text !== this.#seen.get(candidate.path)?.fingerprint;
  }

  /** What is wrong with one, whatever it is, keeps no other waiting. */
  async #lookAtOne(candidate: Candidate): Promise<Look[]> {
    try {
      return await this.#lookAt(candidate);
    } catch (error) {
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
    const { clock, settings } = this.#machine;
    const now = await fingerprintOf(candidate);
    if (now === undefined || this.#stuck.get(candidate.path) === now.text) return [];
    const before = this.#seen.get(candidate.path);
    const unchanged = before?.fingerprint === now.text;
    const seen: Seen = unchanged
      ? before
      : {
          fingerprint: now.text,
          since: clock.monotonic(),
          size: now.size,
          isEmpty: now.isEmpty,
          round: this.#round,
          expected: before?.expected,
        };
    seen.round = this.#round;
    this.#remember(candidate.path, seen);

    const isDeferred = this.#deferred.noteOf(candidate.path)?.fingerprint === now.text;
    const pause = isDeferred ? this.#deferred.left(candidate.path) : 0;
    const wait = { action: 'wait', candidate, present: seen.size, expected: seen.expected } as const;
    if (pause > 0) return [{ ...wait, reason: 'deferred', again: pause }];
    const why = await this.#inHand.whySetAside(candidate);
    if (why !== undefined) return [{ action: 'set-aside', candidate, why }];
    const judgement = await this.#judge(candidate, seen);
    if (judgement === 'whole') return [{ action: 'take', candidate, isGood: true }];
    const rest = (judgement === 'short' ? settings.inboxPatience : settings.inboxRest) * 1000;
    const left = seen.since + rest - clock.monotonic();
    if (left <= 0) return [{ action: 'take', candidate, isGood: false }];
    return [{ ...wait, expected: seen.expected, reason: 'incomplete', again: left }];
  }

  #remember(path: string, seen: Seen): void {
    if (this.#seen.size < mostSeen || this.#seen.has(path)) this.#seen.set(path, seen);
  }

  /** `bad` covers everything that more bytes would not mend. */
  async #judge(candidate: Candidate, seen: Seen): Promise<'whole' | 'short' | 'bad'> {
    // Of a classic pair other files count as well.
    const isAlone = candidate.format === 'bundle';
    if (isAlone && seen.expected !== undefined && seen.size < seen.expected) return 'short';
    // Nothing to read: so many of them cost no more than a look.
    if (isAlone && seen.isEmpty) return 'short';
    const keyring = keyringVersion(this.#machine);
    if (seen.verdict?.keyring === keyring) return seen.verdict.is;
    this.#judged += 1;
    const judged = await this.#inHand.looking(candidate, () => this.#read(candidate, seen));
    if (isAlone && (judged === 'short' || judged === 'bad')) seen.verdict = { is: judged, keyring };
    return judged === 'unreadable' ? 'short' : judged;
  }

  async #read(candidate: Candidate, seen: Seen): Promise<'whole' | 'short' | 'bad' | 'unreadable'> {
    let isOurs = false;
    try {
      if (candidate.format === 'classic' && (await readClassicHead(candidate.path)) === undefined)
        return 'short';
      const examined = await examine(this.#machine, sourceOf(candidate));
      isOurs = true;
      const { present, expected } = await examined.measure().finally(() => examined.close());
      seen.expected = expected;
      return present < expected ? 'short' : 'whole';
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      // A file that can't be read may be on its way out, or its medium may come back: patience, then a report.
      if (error.code === 'io-error') return 'unreadable';
      if (error.code === 'bundle-truncated' || isOurs) return 'short';
      // Its size is there before its bytes are.
      return (await hasHole(candidate.path)) ? 'short' : 'bad';
    }
  }
}

async function fingerprintOf({
  path,
}: Candidate): Promise<{ text: string; size: number; isEmpty: boolean } | undefined> {
  // What is gone, or in a folder that only others may enter, is no candidate; nor is a folder that is named like one.
  const found = await lstat(path).catch(insteadOf(['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP'], undefined));
  if (found === undefined || found.isDirectory()) return undefined;
  return {
    text: `${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}`,
    size: found.size,
    isEmpty: found.isFile() && found.size === 0,
  };
}
