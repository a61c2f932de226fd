/**
 * An import through the daemon's own socket, as an ordinary client: NARs go straight from the bundle to the daemon, which
 * checks signatures and hashes against its own trusted keys (docs/adr/0017). `nix copy` from a loopback cache does the same
 * with a second process in between, at about twice the time.
 */
import { connect, type Socket } from 'node:net';
import { messageOf, NixmakerError } from '../core/errors.ts';
import type { StorePath } from '../core/store-path.ts';
import { failureFor } from './command.ts';
import {
  type ByteSource,
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
  type SignedPathInfo,
} from './daemon-wire.ts';
import type { NixProgress } from './log.ts';

export interface PathToAdd {
  readonly info: SignedPathInfo;
  /** Exactly `info.narSize` bytes. */
  readonly nar: () => AsyncIterable<Buffer>;
}

export interface AddRequest {
  /** A Unix socket's path. */
  readonly socket: string;
  /** References first. */
  readonly paths: readonly PathToAdd[];
}

/** Bytes given to the socket and not yet taken by the daemon; twice this is the most that is in memory. */
const windowBytes = 8 * 1024 * 1024;

/**
 * Where the daemon of this store URI listens; undefined where the store is none that a daemon on this machine serves.
 * (Nix src/libstore/uds-remote-store.cc; src/libstore/include/nix/store/globals.hh, nixDaemonSocketFile)
 */
export function daemonSocketOf(
  store: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): string | undefined {
  if (store?.startsWith('unix:///') === true) {
    const path = store.slice('unix://'.length);
    return path.includes('?') ? undefined : path;
  }
  if (store !== 'daemon') return undefined;
  return env.NIX_DAEMON_SOCKET_PATH ?? `${env.NIX_STATE_DIR ?? '/nix/var/nix'}/daemon-socket/socket`;
}

export interface AddOptions {
  readonly onProgress?: (progress: NixProgress) => void;
  /** After each path: the bytes of NARs given so far. */
  readonly onBytes?: (total: number) => void;
}

export interface Added {
  /** Bytes of NARs that the daemon took. */
  readonly bytes: number;
  /** Ends the connection, and with it the temporary roots of all the paths. */
  readonly release: () => void;
}

/**
 * Adds what is not valid yet, and goes on holding all of it: a collection looks for roots first and for temporary roots a moment
 * later (Nix src/libstore/gc.cc, collectGarbage), so one that began before a path was valid does not see its root, and would
 * take it if it were let go at once.
 * @throws NixmakerError `nix-unavailable`, `nix-key-untrusted`, `no-space`, `nix-failed`; and what the NARs' sources throw
 */
export async function addToDaemon(
  { socket: path, paths }: AddRequest,
  { onProgress, onBytes }: AddOptions = {},
): Promise<Added> {
  const connection = await Connection.open(path);
  const release = () => connection.close();
  try {
    const names = paths.map(({ info }) => info.path);
    await connection.holdPaths(names);
    const valid = await connection.validOf(names);
    const missing = paths.filter(({ info }) => !valid.has(info.path));
    const expected = missing.length;
    if (expected === 0) return { bytes: 0, release };
    const expectedBytes = missing.reduce((sum, { info }) => sum + info.narSize, 0);
    const given = await connection.addAll(missing, (done, bytes) => {
      onBytes?.(bytes);
      onProgress?.({ phase: 'copy', done, expected, bytes, expectedBytes });
    });
    return { bytes: given, release };
  } catch (error) {
    release();
    throw error;
  }
}

class Connection {
  readonly #socket: Socket;
  readonly #source: SocketSource;
  #unsent = 0;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.#source = new SocketSource(socket);
    socket.on('close', () => this.#wake?.());
  }

  static async open(path: string): Promise<Connection> {
    const socket = connect(path);
    const connection = new Connection(socket);
    try {
      await connection.#greet();
    } catch (error) {
      socket.destroy();
      throw error;
    }
    return connection;
  }

  close(): void {
    this.#socket.destroy();
  }

  async #greet(): Promise<void> {
    const source = this.#source;
    await this.#send(encodeNumber(clientMagic), encodeNumber(protocolVersion));
    if ((await readNumber(source)) !== daemonMagic)
      throw new NixmakerError('nix-unavailable', 'what listens there is no Nix daemon');
    const version = await readNumber(source);
    if (version < protocolVersion)
      throw new NixmakerError(
        'nix-too-old',
        `its daemon speaks protocol ${version >> 8}.${version & 255}, and 1.35 is needed`,
      );
    // Two settings of the past: the processor to run on, and whether to reserve space.
    await this.#send(encodeNumber(0), encodeNumber(0));
    await readString(source); // the daemon’s version of Nix
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

  async validOf(paths: readonly StorePath[]): Promise<ReadonlySet<string>> {
    const notSubstituted = encodeNumber(0);
    await this.#send(encodeNumber(operations.queryValidPaths), encodeStrings(paths), notSubstituted);
    await this.#done();
    return new Set(await readStrings(this.#source));
  }

  async addAll(paths: readonly PathToAdd[], onPath: (done: number, bytes: number) => void): Promise<number> {
    const no = encodeNumber(0);
    await this.#send(encodeNumber(operations.addMultipleToStore), no, no);
    // The daemon may refuse while bytes are still being sent: its answer is what counts then.
    let answered = false;
    const answer = this.#done().finally(() => {
      answered = true;
      this.#wake?.();
    });
    const sending = this.#sendAll(paths, { onPath, stop: () => answered });
    const [sent, said] = await Promise.allSettled([
      sending.catch((error: unknown) => {
        // Without its end the daemon would wait for the rest for ever.
        this.#socket.destroy();
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
    await this.#sendFrame(encodeNumber(paths.length));
    for (const { info, nar } of paths) {
      await this.#sendFrame(encodePathInfo(info));
      let size = 0;
      for await (const chunk of nar()) {
        if (stop()) return bytes;
        size += chunk.length;
        // Whatever came after the NAR would be read as the next path.
        if (size > info.narSize) break;
        await this.#sendFrame(chunk);
      }
      if (size !== info.narSize) throw otherSize(info);
      bytes += size;
      done += 1;
      onPath(done, bytes);
    }
    await this.#send(encodeNumber(0));
    return bytes;
  }

  #sendFrame(bytes: Buffer): Promise<void> {
    // A frame without bytes would be the last.
    return bytes.length === 0 ? Promise.resolve() : this.#send(encodeNumber(bytes.length), bytes);
  }

  /** Resolves while there is room for more; what was given before goes on being sent. */
  async #send(...parts: readonly Buffer[]): Promise<void> {
    this.#socket.cork();
    for (const part of parts) {
      this.#unsent += part.length;
      this.#socket.write(part, () => {
        this.#unsent -= part.length;
        if (this.#unsent < windowBytes / 2) this.#wake?.();
      });
    }
    this.#socket.uncork();
    if (this.#unsent < windowBytes) return;
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
      if (this.#socket.destroyed) resolve();
    });
    this.#wake = undefined;
    if (this.#socket.destroyed) throw this.#source.fault() ?? closed();
  }

  async #done(): Promise<void> {
    const error = await readUntilDone(this.#source);
    if (error !== undefined) throw failureFor([`error: ${error}`], 'nix-failed');
  }
}

const closed = (cause?: unknown) =>
  new NixmakerError(
    'nix-unavailable',
    cause === undefined ? 'the Nix daemon hung up' : `the Nix daemon can’t be reached: ${messageOf(cause)}`,
    { cause },
  );

const otherSize = ({ path, narSize }: SignedPathInfo) =>
  new NixmakerError(
    'bundle-malformed',
    `the NAR of ${path} does not have the ${narSize} bytes that were signed`,
  );

const isClosed = (error: unknown) => error instanceof NixmakerError && error.code === 'nix-unavailable';

/** What the daemon sends, in the order it comes. */
class SocketSource implements ByteSource {
  #chunks: Buffer[] = [];
  #length = 0;
  #ended: NixmakerError | undefined;
  #wake: (() => void) | undefined;

  constructor(socket: Socket) {
    socket.on('data', (chunk) => {
      this.#chunks.push(chunk);
      this.#length += chunk.length;
      this.#wake?.();
    });
    const end = (error?: unknown) => {
      this.#ended ??= closed(error);
      this.#wake?.();
    };
    socket.on('error', end);
    socket.on('close', () => end());
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
