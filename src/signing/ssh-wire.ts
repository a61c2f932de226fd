/** SSH’s data types (RFC 4251 §5), read strictly: no byte is skipped. */

export class WireReader {
  readonly #bytes: Buffer;
  readonly #fail: (detail: string) => Error;
  #at = 0;

  constructor(bytes: Buffer, fail: (detail: string) => Error) {
    this.#bytes = bytes;
    this.#fail = fail;
  }

  bytes(length: number): Buffer {
    if (this.#at + length > this.#bytes.length) throw this.#fail('it ends too early');
    this.#at += length;
    return this.#bytes.subarray(this.#at - length, this.#at);
  }

  uint32(): number {
    return this.bytes(4).readUInt32BE();
  }

  /** Four bytes of length, then that many. */
  string(): Buffer {
    return this.bytes(this.uint32());
  }

  text(): string {
    return this.string().toString('latin1');
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw this.#fail('it has stray bytes at its end');
  }
}

/** A string as SSH sends it. */
export function wireString(bytes: Uint8Array | string): Buffer {
  const contents = Buffer.from(bytes as Uint8Array);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(contents.length);
  return Buffer.concat([length, contents]);
}
