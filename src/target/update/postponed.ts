/**
 * Files to look at again after a while, and why: no change will announce that they are ready (Nix down, no space, a copy in progress). An
 * obstacle that lasts for days is not tried every half minute: each pause is twice as long as the one before.
 */
import type { ReasonCode } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { Clock } from '../../core/ports.ts';
import type { Wait } from '../../core/run/waits.ts';

/** Milliseconds. The first pause, doubled each time, and the longest. */
export const retryFrom = 2000;
export const retryUpTo = 900_000;
/**
 * The longest pause while waiting for a window; the shortest window lasts one minute. Threat: a day is a multiple of a quarter of an hour,
 * so a window of ten minutes would be missed day after day.
 */
const windowUpTo = 30_000;

/** A file as it was; one that has changed since is a different one. */
export interface FileAsItWas {
  readonly path: string;
  readonly fingerprint: string;
}

export interface Why {
  readonly code: ReasonCode;
  readonly detail?: string | undefined;
  /** It is for this host: a visit is not over without it. */
  readonly isOurs: boolean;
}

interface Entry extends Why {
  readonly fingerprint: string;
  /** Milliseconds, on the monotonic clock. */
  readonly until: number;
  readonly pause: number;
  readonly since: string;
  readonly again: string;
  readonly tries: number;
}

export class Postponed {
  readonly #clock: Pick<Clock, 'monotonic' | 'now'>;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Pick<Clock, 'monotonic' | 'now'>) {
    this.#clock = clock;
  }

  /** @param pause milliseconds */
  postpone({ path, fingerprint }: FileAsItWas, why: Why, pause: number): void {
    const now = this.#clock.now();
    const before = this.#entries.get(path);
    const isSame = before?.fingerprint === fingerprint && before.code === why.code;
    this.#entries.set(path, {
      ...why,
      fingerprint,
      pause,
      until: this.#clock.monotonic() + pause,
      since: isSame ? before.since : now.toISOString(),
      again: new Date(now.getTime() + pause).toISOString(),
      tries: isSame ? before.tries + 1 : 1,
    });
  }

  /** The same, longer each time. @param from the first pause, in milliseconds */
  backOff(file: FileAsItWas, why: Why, from = retryFrom): void {
    const before = this.#entries.get(file.path);
    // While a pool is being copied, no manifest changes, but the amount that has arrived does.
    const goesOn = why.code === 'incomplete' && before?.detail !== why.detail;
    const again = before?.fingerprint === file.fingerprint && !goesOn ? before.pause * 2 : from;
    this.postpone(file, why, Math.min(again, why.code === 'outside-window' ? windowUpTo : retryUpTo));
  }

  /** What stood in this file’s way when it was last tried; undefined if nothing did. */
  whyOf({ path, fingerprint }: FileAsItWas): ReasonCode | undefined {
    const entry = this.#entries.get(path);
    return entry?.fingerprint === fingerprint ? entry.code : undefined;
  }

  knows(path: string): boolean {
    return this.#entries.has(path);
  }

  /** Milliseconds until this file is due; 0 if it already is, or was never postponed. */
  left({ path, fingerprint }: FileAsItWas): number {
    const entry = this.#entries.get(path);
    return entry?.fingerprint === fingerprint ? Math.max(0, entry.until - this.#clock.monotonic()) : 0;
  }

  /** What is due could not be looked at: not before that many milliseconds. */
  putOff(pause: number): void {
    const now = this.#clock.monotonic();
    for (const [path, entry] of this.#entries)
      if (entry.until <= now) this.#entries.set(path, { ...entry, until: now + pause });
  }

  delete(path: string): void {
    this.#entries.delete(path);
  }

  /** A file that is gone is no longer due. */
  keepOnly(present: ReadonlySet<string>): void {
    for (const path of this.#entries.keys()) if (!present.has(path)) this.#entries.delete(path);
  }

  has(fits: (why: Why) => boolean): boolean {
    return [...this.#entries.values()].some(fits);
  }

  /** Milliseconds until the first is due; undefined if none waits. */
  soonest(): number | undefined {
    const now = this.#clock.monotonic();
    const left = [...this.#entries.values()].map(({ until }) => Math.max(0, until - now));
    return left.length === 0 ? undefined : Math.min(...left);
  }

  waits(): Wait[] {
    return [...this.#entries].map(([path, { code, detail, since, tries, again }]) =>
      given({ path, code, detail, since, tries, again }),
    );
  }
}
