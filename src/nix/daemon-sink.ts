/** This end of a connection to the daemon: as much is given to it as it may hold, thousands of small frames in few writes. */
import type { Writable } from 'node:stream';
import { giveBack } from '../core/memory.ts';
import { encodeNumber } from './daemon-wire.ts';

/** Bytes given to it and not yet accepted by the daemon; at most twice this is in memory. */
const windowBytes = 8 * 1024 * 1024;

/** Frames sent in one go. */
const batchBytes = 64 * 1024;
/** Parts up to this size are copied together: cheaper than a write for each. */
const copiedBytes = 32 * 1024;

export class DaemonSink {
  readonly #stream: Writable;
  readonly #fault: () => Error;
  #unsent = 0;
  #wake: (() => void) | undefined;
  /** Frames that are not sent yet, and their bytes. */
  readonly #batch: Buffer[] = [];
  #batched = 0;

  /** @param fault what to fail with once it is closed */
  constructor(stream: Writable, fault: () => Error) {
    this.#stream = stream;
    this.#fault = fault;
    stream.on('close', () => this.wake());
    // Whoever reads from the other end is told.
    stream.on('error', () => this.wake());
  }

  /** Lets whoever waits for room go on. */
  wake(): void {
    this.#wake?.();
  }

  /** A frame with these bytes, whose memory is given back once they are sent: they are nobody else’s. */
  async sendFrame(bytes: Buffer): Promise<void> {
    // An empty frame would be the last.
    if (bytes.length === 0) return;
    this.#batch.push(encodeNumber(bytes.length), bytes);
    this.#batched += bytes.length;
    if (this.#batched >= batchBytes) await this.sendBatch();
  }

  /** What has been gathered. */
  async sendBatch(): Promise<void> {
    const parts: Buffer[] = [];
    const together: Buffer[] = [];
    const join = () => {
      if (together.length > 0) parts.push(Buffer.concat(together.splice(0)));
    };
    for (const part of this.#batch.splice(0)) {
      if (part.length > copiedBytes) join();
      (part.length > copiedBytes ? parts : together).push(part);
    }
    join();
    this.#batched = 0;
    await this.send(...parts);
  }

  /** Resolves when there is room for more; what was given before is still being sent. */
  async send(...parts: readonly Buffer[]): Promise<void> {
    const last = parts.at(-1);
    if (last === undefined) return;
    const total = parts.reduce((sum, { length }) => sum + length, 0);
    this.#unsent += total;
    // Corked, all of them are one write, which ends for all at once.
    this.#stream.cork();
    for (const part of parts.slice(0, -1)) this.#stream.write(part);
    this.#stream.write(last, () => {
      this.#unsent -= total;
      for (const part of parts) giveBack(part);
      if (this.#unsent < windowBytes / 2) this.wake();
    });
    this.#stream.uncork();
    if (this.#unsent < windowBytes) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#stream.destroyed) resolve();
    });
    this.#wake = undefined;
    if (this.#stream.destroyed) throw this.#fault();
  }
}
