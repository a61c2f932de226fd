/**
 * What to do with each file of the inbox right now. Copies arrive slowly, pause, and end without a word, so a file
 * is ready when its signed size is there, bad only when it has been at rest, and truncated only when it has stood
 * still for the patience of the settings. Rest is observed on a monotonic clock, never read off a file's times.
 */
import { lstat } from 'node:fs/promises';
import { readClassicHead } from '../../bundle/classic.ts';
import { insteadOf } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { type Candidate, listInbox } from '../../media/inbox.ts';
import type { Machine } from '../machine/machine.ts';
import { examine, sourceOf } from '../update/open.ts';
import { Postponed } from '../update/postponed.ts';

export type Look =
  | { readonly action: 'take'; readonly candidate: Candidate }
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
const retryFrom = 2000;
const retryUpTo = 900_000;

interface Seen {
  readonly fingerprint: string;
  /** Monotonic time since which the file has looked like this. */
  readonly since: number;
  readonly size: number;
  /** Signed size, once the head could be verified. */
  expected: number | undefined;
}

export class InboxQueue {
  readonly #machine: Machine;
  readonly #seen = new Map<string, Seen>();
  readonly #deferred: Postponed<Deferred>;
  /** Files that are done with but could not be moved away; not to be taken over and over. */
  readonly #stuck = new Map<string, string>();

  constructor(machine: Machine) {
    this.#machine = machine;
    this.#deferred = new Postponed(machine.clock);
  }

  async look(): Promise<Look[]> {
    const { policy, settings } = this.#machine;
    const candidates = policy.sources.inbox ? await listInbox(settings.inbox) : [];
    const paths = new Set(candidates.map((c) => c.path));
    this.#deferred.keepOnly(paths);
    for (const known of [this.#seen, this.#stuck])
      for (const path of known.keys()) if (!paths.has(path)) known.delete(path);
    const looks: Look[] = [];
    for (const candidate of candidates) looks.push(...(await this.#lookAtOne(candidate)));
    return looks;
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
      : { fingerprint: now.text, since: clock.monotonic(), size: now.size, expected: before?.expected };
    this.#seen.set(candidate.path, seen);

    const isDeferred = this.#deferred.noteOf(candidate.path)?.fingerprint === now.text;
    const pause = isDeferred ? this.#deferred.left(candidate.path) : 0;
    const wait = { action: 'wait', candidate, present: seen.size, expected: seen.expected } as const;
    if (pause > 0) return [{ ...wait, reason: 'deferred', again: pause }];
    const judgement = await this.#judge(candidate, seen);
    if (judgement === 'whole') return [{ action: 'take', candidate }];
    const rest = (judgement === 'short' ? settings.inboxPatience : settings.inboxRest) * 1000;
    const left = seen.since + rest - clock.monotonic();
    if (left <= 0) return [{ action: 'take', candidate }];
    return [{ ...wait, expected: seen.expected, reason: 'incomplete', again: left }];
  }

  /** `bad` covers everything that more bytes would not mend. */
  async #judge(candidate: Candidate, seen: Seen): Promise<'whole' | 'short' | 'bad'> {
    // Of a classic pair other files count as well.
    if (candidate.format === 'bundle' && seen.expected !== undefined && seen.size < seen.expected)
      return 'short';
    try {
      if (candidate.format === 'classic' && (await readClassicHead(candidate.path)) === undefined)
        return 'short';
      const examined = await examine(this.#machine, sourceOf(candidate));
      const { present, expected } = await examined.measure().finally(() => examined.close());
      seen.expected = expected;
      return present < expected ? 'short' : 'whole';
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      // A file that can't be read may be on its way out, or its medium may come back: patience, then a report.
      return error.code === 'bundle-truncated' || error.code === 'io-error' ? 'short' : 'bad';
    }
  }
}

async function fingerprintOf({ path }: Candidate): Promise<{ text: string; size: number } | undefined> {
  // What is gone, or in a folder that only others may enter, is no candidate.
  const found = await lstat(path).catch(insteadOf(['ENOENT', 'ENOTDIR', 'EACCES', 'ELOOP'], undefined));
  if (found === undefined) return undefined;
  return { text: `${found.ino}:${found.size}:${found.mtimeMs}:${found.ctimeMs}`, size: found.size };
}
