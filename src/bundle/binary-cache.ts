/**
 * A binary cache for the length of one import, for stores that no daemon serves (docs/adr/0017): members of an open bundle
 * over HTTP on the loopback address, under a path nobody else can guess. Nix reads the bundle through it; the bundle is never unpacked (DESIGN §3).
 *
 * Threat: other users of the machine can connect to the port. All they could get is what the bundle holds, and
 * without the path not even that.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import pLimit, { type LimitFunction } from 'p-limit';
import { isContents } from '../core/bundle/manifest.ts';
import { plainNarinfo, renderNarinfo } from '../core/bundle/narinfo.ts';
import { NixmakerError } from '../core/errors.ts';
import { hashPart, type StorePath } from '../core/store-path.ts';
import { type OpenedBundle, readMember, streamMember } from './contents.ts';
import { restoreNar } from './delta.ts';

export interface BinaryCache {
  readonly url: string;
  /** The first fault met while serving; the reason when Nix reports a failed download. */
  readonly fault: () => NixmakerError | undefined;
  readonly bytesServed: () => number;
  close(): Promise<void>;
}

export interface ServeOptions {
  /** An unguessable path segment, from the composition's randomness. */
  readonly secret: string;
  /** By store path: added to the narinfos that the bundle holds. */
  readonly signatures?: Readonly<Record<string, string>> | undefined;
  /** The NAR of a path that this machine has; what deltas are restored from. */
  readonly narOf: (path: StorePath) => AsyncIterable<Buffer>;
}

/** What is given for a name: bytes at hand, or a stream of known length. */
type Answer =
  | { readonly bytes: () => Promise<Buffer> | Buffer; readonly size: number }
  | { readonly stream: () => AsyncIterable<Buffer>; readonly size: number; readonly member: number };

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
      served += found.member;
    } else {
      // Headers and body in one write: thousands of small answers.
      response.writeHead(200, headers).end(await found.bytes());
    }
  };

  const server = createServer({ keepAlive: true, keepAliveTimeout: 60_000 }, (request, response) => {
    respond(request, response).catch((error: unknown) => {
      // A connection Nix itself has closed is not the bundle's fault.
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

/** What there is by each name that Nix may ask for. */
function answersOf(
  bundle: OpenedBundle,
  { signatures = {}, narOf }: ServeOptions,
): (name: string) => Answer | undefined {
  const restored = restoredNars(bundle, narOf);
  const leftOut = new Map(
    bundle.manifest.paths.flatMap((info) => {
      const name = `${hashPart(info.path)}.narinfo`;
      return bundle.narinfos.has(name) ? [] : [[name, info] as const];
    }),
  );
  return (name) => {
    const member = bundle.members.get(name);
    if (member === undefined) {
      const info = leftOut.get(name);
      // Nix asks for the narinfos of the whole closure, also of paths that it has.
      if (info !== undefined) return atHand(Buffer.from(renderNarinfo(plainNarinfo(info))));
      return restored.get(name);
    }
    if (isContents(name))
      return { stream: () => streamMember(bundle, member), size: member.size, member: member.size };
    const path = bundle.narinfos.get(name)?.path;
    const signature = path === undefined ? undefined : signatures[path];
    const added = Buffer.from(signature === undefined ? '' : `Sig: ${signature}\n`);
    return {
      bytes: async () => Buffer.concat([await readMember(bundle, member), added]),
      size: member.size + added.length,
    };
  };
}

const atHand = (bytes: Buffer): Answer => ({ bytes: () => bytes, size: bytes.length });

/** By the name under which Nix asks for them. One after the other: each takes memory for base and window. */
function restoredNars(bundle: OpenedBundle, narOf: ServeOptions['narOf']): Map<string, Answer> {
  const oneAtATime = pLimit(1);
  const infos = new Map(bundle.manifest.paths.map((info) => [info.path, info]));
  return new Map(
    [...bundle.deltas.values()].flatMap((delta) => {
      const info = infos.get(delta.path);
      const member = bundle.members.get(delta.member);
      if (info === undefined || member === undefined) return [];
      const patch = () => ({ size: member.size, chunks: streamMember(bundle, member) });
      const sources = () => ({ base: narOf(delta.base), patch: patch() });
      const stream = () => inTurn(oneAtATime, () => restoreNar({ delta, info }, sources()));
      return [[plainNarinfo(info).url, { stream, size: info.narSize, member: member.size }] as const];
    }),
  );
}

/** The stream, begun when its turn comes; the next one’s comes when it has ended, however it ends. */
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
