/**
 * A binary cache for the duration of one import, for stores without a daemon (docs/adr/0017): an open bundle’s paths
 * over HTTP on the loopback address, under a path nobody else can guess. Nix reads the bundle through it; the bundle is never unpacked
 * (DESIGN §3).
 *
 * Threat: other users of the machine can connect to the port. All they could get is the bundle’s contents, and
 * without the path not even that.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import pLimit, { type LimitFunction } from 'p-limit';
import { plainNarinfo, renderNarinfo } from '../core/bundle/narinfo.ts';
import { NixmakerError } from '../core/errors.ts';
import type { Piece } from '../core/release/contents-file.ts';
import { hashPart } from '../core/store-path.ts';
import type { OpenedBundle } from './contents.ts';
import { cacheInfo } from './members.ts';
import { type BaseNar, NarReader } from './nar-reader.ts';

export interface BinaryCache {
  readonly url: string;
  /** The first fault while serving; the real reason when Nix reports a failed download. */
  readonly fault: () => NixmakerError | undefined;
  /** Of NARs. */
  readonly bytesServed: () => number;
  close(): Promise<void>;
}

export interface ServeOptions {
  /** An unguessable path segment, from the composition's randomness. */
  readonly secret: string;
  /** What each missing path is made from, by index line. */
  readonly chosen: ReadonlyMap<number, Piece>;
  /** Of a line, as in narinfos. */
  readonly signaturesOf: (line: number) => readonly string[];
  /** The NAR of a path this machine has; deltas are restored from it. */
  readonly narOf: BaseNar;
}

/** What a name resolves to: bytes in memory, or a stream of known length. */
type Answer =
  | { readonly bytes: Buffer; readonly size: number }
  | { readonly stream: () => AsyncIterable<Buffer>; readonly size: number };

export async function serveBundle(bundle: OpenedBundle, options: ServeOptions): Promise<BinaryCache> {
  let fault: NixmakerError | undefined;
  let served = 0;
  const prefix = `/${options.secret}/`;
  const answerFor = answersOf(bundle, options);

  const respond = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const name = request.url?.startsWith(prefix) ? request.url.slice(prefix.length) : undefined;
    const found = name === undefined ? undefined : answerFor(name);
    if (found === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) {
      response.writeHead(404, { 'content-length': 0 }).end();
      return;
    }
    const headers = { 'content-length': found.size, 'content-type': 'application/octet-stream' };
    if (request.method === 'HEAD') {
      response.writeHead(200, headers).end();
    } else if ('stream' in found) {
      response.writeHead(200, headers);
      await pipeline(found.stream(), response);
      served += found.size;
    } else {
      // Headers and body in one write: there are thousands of small answers.
      response.writeHead(200, headers).end(found.bytes);
    }
  };

  const server = createServer({ keepAlive: true, keepAliveTimeout: 60_000 }, (request, response) => {
    respond(request, response).catch((error: unknown) => {
      // A connection closed by Nix itself is not the bundle's fault.
      if (error instanceof NixmakerError) fault ??= error;
      response.destroy();
    });
  });
  const url = `http://127.0.0.1:${await listen(server)}/${options.secret}`;
  return { url, fault: () => fault, bytesServed: () => served, close: () => stop(server) };
}

/** @returns the port */
async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  return (server.address() as AddressInfo).port;
}

const stop = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
    server.closeAllConnections();
  });

/** Everything Nix may ask for, by name. It asks for the narinfos of the whole closure, including paths it already has. */
function answersOf(
  { index, reader }: OpenedBundle,
  { chosen, signaturesOf, narOf }: ServeOptions,
): (name: string) => Answer | undefined {
  // Each takes memory, for its window or base.
  const atOnce = { delta: pLimit(1), whole: pLimit(4) };
  const lines = new Map<string, number>();
  for (let line = 0; line < index.length; line++) lines.set(hashPart(index.path(line)), line);
  return (name) => {
    if (name === 'nix-cache-info') return atHand(cacheInfo);
    const [hash = '', kind] = name.replace(/^nar\//, '').split('.');
    const line = lines.get(hash);
    if (line === undefined) return undefined;
    const info = index.info(line);
    if (name === `${hash}.narinfo` && kind === 'narinfo')
      return atHand(renderNarinfo({ ...plainNarinfo(info, signaturesOf(line)), url: urlOf(hash) }));
    const piece = chosen.get(line);
    if (name !== urlOf(hash) || piece === undefined) return undefined;
    const read = () => new NarReader(reader, narOf).read(info, piece);
    return { stream: () => inTurn(atOnce[piece.kind], read), size: info.narSize };
  };
}

/** By the path’s own hash: paths can share a NAR. */
const urlOf = (hash: string) => `nar/${hash}.nar`;

function atHand(text: string): Answer {
  const bytes = Buffer.from(text);
  return { bytes, size: bytes.length };
}

/** The stream, started when its turn comes; the next one’s turn comes when it has ended, for whatever reason. */
async function* inTurn(limit: LimitFunction, begin: () => AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  await new Promise<void>((started) => {
    void limit(() => {
      started();
      return ended;
    });
  });
  try {
    yield* begin();
  } finally {
    end();
  }
}
