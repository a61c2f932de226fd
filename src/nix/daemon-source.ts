/** The daemon’s end of a connection, read in exact portions. */
import type { Readable } from 'node:stream';
import { messageOf, NixmakerError } from '../core/errors.ts';
import type { ByteSource } from './daemon-wire.ts';

export const closed = (cause?: unknown) =>
  new NixmakerError(
    'nix-unavailable',
    cause === undefined
      ? 'the Nix daemon closed the connection'
      : `cannot reach the Nix daemon: ${messageOf(cause)}`,
    { cause },
  );

export const isClosed = (error: unknown) =>
  error instanceof NixmakerError && error.code === 'nix-unavailable';

/** What the daemon sends, in the order it arrives. */
export class DaemonSource implements ByteSource {
  #chunks: Buffer[] = [];
  #length = 0;
  #ended: NixmakerError | undefined;
  #wake: (() => void) | undefined;

  constructor(stream: Readable) {
    stream.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#wake?.();
    });
    const end = (error?: unknown) => {
      this.#ended ??= closed(error);
      this.#wake?.();
    };
    stream.on('error', end);
    stream.on('close', () => end());
  }

  fault(): NixmakerError | undefined {
    return this.#ended;
  }

  async take(bytes: number): Promise<Buffer> {
    while (this.#length < bytes) {
      if (this.#ended !== undefined) throw this.#ended;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    const all = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    this.#chunks = all.length === bytes ? [] : [all.subarray(bytes)];
    this.#length -= bytes;
    return all.subarray(0, bytes);
  }
}
