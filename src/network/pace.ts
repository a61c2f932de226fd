/** How fast a server may be read, and how slow it may be. */
import { NixmakerError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';

type Timing = Pick<Clock, 'monotonic' | 'sleep'>;

/** One rate for all that is read at the same time. Waits as long as what has come so far should have taken. */
export class RateLimit {
  readonly #bytesPerSecond: number | undefined;
  readonly #clock: Timing;
  #due: number;

  /** @param bytesPerSecond no limit if undefined */
  constructor(bytesPerSecond: number | undefined, clock: Timing) {
    this.#bytesPerSecond = bytesPerSecond;
    this.#clock = clock;
    this.#due = clock.monotonic();
  }

  async spend(bytes: number): Promise<void> {
    if (this.#bytesPerSecond === undefined) return;
    const now = this.#clock.monotonic();
    this.#due = Math.max(this.#due, now) + (bytes * 1000) / this.#bytesPerSecond;
    if (this.#due > now) await this.#clock.sleep(this.#due - now);
  }
}

/** Milliseconds over which a server’s speed is looked at. */
const period = 60_000;
/** Bytes a second. Satellite links are slow; a server that sends a byte now and then is none. */
export const slowest = 256;

/** Threat: a byte every few seconds, for ever: each one is in time, and nothing ever comes to an end. */
export class LeastSpeed {
  readonly #clock: Timing;
  #start: number;
  #bytes = 0;

  constructor(clock: Timing) {
    this.#clock = clock;
    this.#start = clock.monotonic();
  }

  /** @throws NixmakerError `source-unreachable` */
  add(bytes: number): void {
    this.#bytes += bytes;
    const passed = this.#clock.monotonic() - this.#start;
    if (passed < period) return;
    if (this.#bytes < (slowest * passed) / 1000)
      throw new NixmakerError(
        'source-unreachable',
        `it sent ${this.#bytes} bytes in ${Math.round(passed / 1000)} s`,
      );
    this.#start += passed;
    this.#bytes = 0;
  }
}
