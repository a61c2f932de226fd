/** Requests to a nix-daemon over its own socket (docs/adr/0017), or to one that we have started (kept-daemon.ts). */
import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { NixmakerError } from '../core/errors.ts';
import { parseStorePath, type StorePath } from '../core/store-path.ts';
import { DaemonSink } from './daemon-sink.ts';
import { closed, DaemonSource, isClosed } from './daemon-source.ts';
import {
  clientMagic,
  daemonMagic,
  encodeNumber,
  encodePathInfo,
  encodeString,
  encodeStrings,
  operations,
  protocolVersion,
  readNumber,
  readString,
  readStrings,
  readUntilDone,
  readValidInfo,
  type SignatureFilter,
  type SignedPathInfo,
  type ValidInfo,
} from './daemon-wire.ts';
import { failureFor } from './failure.ts';

export interface PathToAdd {
  readonly path: StorePath;
  /** Bytes. */
  readonly narSize: number;
  readonly info: () => SignedPathInfo;
  /** Exactly `narSize` bytes. Once sent, the buffers’ memory is given back: nobody else may use them. */
  readonly nar: () => AsyncIterable<Buffer>;
}

export interface Collected {
  readonly paths: number;
  readonly bytes: number;
}

/** To and from a daemon; a socket is both. */
export interface Streams {
  readonly input: Writable;
  readonly output: Readable;
}

/** Asked in one batch: at most this many answers wait to be read. */
const questions = 64;

/** An ordinary client of a nix-daemon; it need not be trusted. */
export class DaemonConnection {
  readonly #streams: Streams;
  readonly #source: DaemonSource;
  readonly #sink: DaemonSink;
  #nixVersion = '';

  private constructor(streams: Streams) {
    this.#streams = streams;
    this.#source = new DaemonSource(streams.output);
    this.#sink = new DaemonSink(streams.input, () => this.#source.fault() ?? closed());
  }

  static open(path: string): Promise<DaemonConnection> {
    const socket = connect(path);
    return DaemonConnection.over({ input: socket, output: socket });
  }

  static async over(streams: Streams): Promise<DaemonConnection> {
    const connection = new DaemonConnection(streams);
    try {
      await connection.#greet();
    } catch (error) {
      connection.close();
      throw error;
    }
    return connection;
  }

  /** The daemon’s: `2.34.8`; undefined if it has not said. */
  get nixVersion(): string | undefined {
    return this.#nixVersion === '' ? undefined : this.#nixVersion;
  }

  /** By either end. */
  get isClosed(): boolean {
    return this.#source.fault() !== undefined || this.#streams.input.destroyed;
  }

  close(): void {
    for (const stream of [this.#streams.input, this.#streams.output]) stream.destroy();
  }

  async #greet(): Promise<void> {
    const source = this.#source;
    await this.#send(encodeNumber(clientMagic), encodeNumber(protocolVersion));
    if ((await readNumber(source)) !== daemonMagic)
      throw new NixmakerError('nix-unavailable', 'what answers there is not a Nix daemon');
    const version = await readNumber(source);
    if (version < protocolVersion)
      throw new NixmakerError(
        'nix-too-old',
        `its daemon speaks protocol ${version >> 8}.${version & 255}; 1.35 or newer is required`,
      );
    // Two legacy settings: the processor to run on, and whether to reserve space.
    await this.#send(encodeNumber(0), encodeNumber(0));
    this.#nixVersion = await readString(source);
    await readNumber(source); // whether it trusts this client: it need not
    await this.#done();
  }

  /** Temporary roots, for as long as this connection lives: no collection takes a path while it is being imported. */
  async holdPaths(paths: readonly StorePath[]): Promise<void> {
    for (const path of paths) await this.#send(encodeNumber(operations.addTempRoot), encodeString(path));
    for (const _ of paths) {
      await this.#done();
      await readNumber(this.#source);
    }
  }

  /**
   * Makes a link a garbage-collector root, wherever it is and whether or not its target is valid: it takes effect when the target becomes
   * valid (Nix src/libstore/gc.cc, addIndirectRoot, findRoots). Needs no privilege.
   */
  async addIndirectRoot(link: string): Promise<void> {
    await this.#send(encodeNumber(operations.addIndirectRoot), encodeString(link));
    await this.#done();
    await readNumber(this.#source);
  }

  /**
   * Deletes paths that nothing refers to and nobody holds. Nix first releases the room it keeps in reserve for this (`db/reserved`), so it
   * works on a full disk (Nix src/libstore/gc.cc, collectGarbage; daemon.cc, CollectGarbage; 3: these paths only).
   */
  async deletePaths(paths: readonly StorePath[]): Promise<void> {
    const [these, no] = [encodeNumber(3), encodeNumber(0)];
    const asMuchAsThereIs = encodeNumber(Number.MAX_SAFE_INTEGER);
    const question = [encodeNumber(operations.collectGarbage), these, encodeStrings(paths)];
    await this.#send(...question, no, asMuchAsThereIs, no, no, no);
    await this.#done();
    await readStrings(this.#source);
    await readNumber(this.#source); // bytes
    await readNumber(this.#source);
  }

  async validOf(paths: readonly StorePath[]): Promise<ReadonlySet<StorePath>> {
    const notSubstituted = encodeNumber(0);
    await this.#send(encodeNumber(operations.queryValidPaths), encodeStrings(paths), notSubstituted);
    await this.#done();
    const asked = new Set(await readStrings(this.#source));
    return new Set(paths.filter((path) => asked.has(path)));
  }

  async allValid(): Promise<StorePath[]> {
    await this.#send(encodeNumber(operations.queryAllValidPaths));
    await this.#done();
    return (await readStrings(this.#source)).flatMap((text) => parseStorePath(text) ?? []);
  }

  /** What its database holds about each path; paths that are not valid are left out. */
  async infosOf(
    paths: readonly StorePath[],
    wanted: SignatureFilter = () => () => false,
  ): Promise<Map<StorePath, ValidInfo>> {
    const infos = new Map<StorePath, ValidInfo>();
    for (let start = 0; start < paths.length; start += questions) {
      const some = paths.slice(start, start + questions);
      // All questions are sent before any answer is read: one at a time, each would wait for the other.
      for (const path of some) await this.#send(encodeNumber(operations.queryPathInfo), encodeString(path));
      for (const path of some) {
        await this.#done();
        const info = await readValidInfo(this.#source, (stored) => wanted(path, stored));
        if (info !== undefined) infos.set(path, info);
      }
    }
    return infos;
  }

  /** Adds a signature each to valid paths. Anybody may: what it is worth depends on its key. */
  async addSignatures(signatures: ReadonlyMap<StorePath, string>): Promise<void> {
    const all = [...signatures];
    for (let start = 0; start < all.length; start += questions) {
      const some = all.slice(start, start + questions);
      for (const [path, signature] of some)
        await this.#send(
          encodeNumber(operations.addSignatures),
          encodeString(path),
          encodeStrings([signature]),
        );
      for (const _ of some) {
        await this.#done();
        await readNumber(this.#source);
      }
    }
  }

  /**
   * Has everything unneeded deleted, until more than this many bytes are free. Closing the connection ends it, even midway (Nix
   * src/libstore/daemon.cc, CollectGarbage; gc.cc, gcDeleteDead).
   * @returns how many store paths are gone, and their bytes as Nix counts them
   */
  async collectGarbage(most: number): Promise<Collected> {
    const [deleteDead, no] = [encodeNumber(2), encodeNumber(0)];
    await this.#send(encodeNumber(operations.collectGarbage), deleteDead, encodeStrings([]));
    // Not regardless of what needs a path; then three legacy fields.
    await this.#send(no, encodeNumber(most), no, no, no);
    await this.#done();
    let paths = 0;
    for (let left = await readNumber(this.#source); left > 0; left--) {
      await readString(this.#source);
      paths += 1;
    }
    const bytes = await readNumber(this.#source);
    await readNumber(this.#source);
    return { paths, bytes };
  }

  async addAll(paths: readonly PathToAdd[], onPath: (done: number, bytes: number) => void): Promise<number> {
    const no = encodeNumber(0);
    await this.#send(encodeNumber(operations.addMultipleToStore), no, no);
    // The daemon may refuse while bytes are still being sent: its answer then counts.
    let answered = false;
    const answer = this.#done().finally(() => {
      answered = true;
      this.#sink.wake();
    });
    const sending = this.#sendAll(paths, { onPath, stop: () => answered });
    const [sent, said] = await Promise.allSettled([
      sending.catch((error: unknown) => {
        // Without an end the daemon would wait for the rest for ever.
        this.close();
        throw error;
      }),
      answer,
    ]);
    if (sent.status === 'rejected' && !isClosed(sent.reason)) throw sent.reason;
    if (said.status === 'rejected') throw said.reason;
    if (sent.status === 'rejected') throw sent.reason;
    return sent.value;
  }

  async #sendAll(
    paths: readonly PathToAdd[],
    { onPath, stop }: { onPath: (done: number, bytes: number) => void; stop: () => boolean },
  ): Promise<number> {
    let bytes = 0;
    let done = 0;
    await this.#sink.sendFrame(encodeNumber(paths.length));
    for (const { path, narSize, info, nar } of paths) {
      await this.#sink.sendFrame(encodePathInfo(info()));
      let size = 0;
      for await (const chunk of nar()) {
        if (stop()) return bytes;
        size += chunk.length;
        // Anything after the NAR would be read as the next path.
        if (size > narSize) break;
        await this.#sink.sendFrame(chunk);
      }
      if (size !== narSize) throw otherSize({ path, narSize });
      bytes += size;
      done += 1;
      onPath(done, bytes);
    }
    await this.#sink.sendBatch();
    await this.#send(encodeNumber(0));
    return bytes;
  }

  #send(...parts: readonly Buffer[]): Promise<void> {
    return this.#sink.send(...parts);
  }

  async #done(): Promise<void> {
    const error = await readUntilDone(this.#source);
    if (error !== undefined)
      throw failureFor([{ level: 0, text: `error: ${error}`, raw: error }], 'nix-failed');
  }
}

const otherSize = ({ path, narSize }: Pick<SignedPathInfo, 'path' | 'narSize'>) =>
  new NixmakerError(
    'bundle-malformed',
    `the NAR of ${path} does not have the ${narSize} bytes that were signed`,
  );
