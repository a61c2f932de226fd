/**
 * Hands out files over HTTP, and takes small ones. Threat: anybody on the network. Headers, requests, connections and time are bounded;
 * of a request only its method, its path, `Range`, `If-Range` and `Content-Length` are looked at.
 */
import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { hasErrno } from '../core/errno.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';

/** A file that is open. */
export interface ServedFile {
  readonly size: number;
  /** Strong; undefined if the contents may change under this name. */
  readonly etag: string | undefined;
  /** @param end exclusive */
  stream(start: number, end: number): Readable;
  close(): Promise<void>;
}

export interface Handlers {
  /** Undefined if there is no such file. */
  read(path: string): Promise<ServedFile | undefined>;
  /** Whether, and how large at most, something may be put there; a status if not. */
  mayPut(path: string): { readonly most: number } | number;
  /** @returns the status */
  put(path: string, bytes: Buffer): Promise<number>;
  /** A request that failed for a reason of ours. */
  failed(path: string, error: unknown): void;
}

export interface ServeOptions {
  readonly address: string;
  readonly port: number;
  readonly handlers: Handlers;
}

/** Connections, all together and from one address. */
const mostConnections = 128;
const mostOfAddress = 16;
/** Requests of one connection that are not answered in full: the next may come while the last one’s end is still being sent. */
const mostUnanswered = 4;

/** Milliseconds: for headers, for a whole request, for a connection that is not used, and for a client that does not read on. */
const times = { headersTimeout: 10_000, requestTimeout: 120_000, keepAliveTimeout: 5000 } as const;
const idle = 30_000;

/** Bytes a second that a client must read, after the first minute. */
const slowest = 4096;

const fixed = {
  'content-type': 'application/octet-stream',
  'x-content-type-options': 'nosniff',
  'accept-ranges': 'bytes',
} as const;

export interface Listening {
  readonly port: number;
  close(): Promise<void>;
}

/** @throws NixmakerError `cannot-listen` */
export async function listen({ address, port, handlers }: ServeOptions): Promise<Listening> {
  const server = createServer({ ...times, maxHeaderSize: 8192, connectionsCheckingInterval: 5000 });
  server.maxConnections = mostConnections;
  server.timeout = idle;
  boundByAddress(server);
  const unanswered = new WeakMap<Socket, Set<ServerResponse>>();
  const onRequest = (request: IncomingMessage, response: ServerResponse) => {
    if (mayAnswer(unanswered, request.socket, response)) void answer(request, response, handlers);
  };
  server.on('request', onRequest);
  server.on('checkContinue', onRequest);
  server.listen(port, address);
  try {
    await once(server, 'listening');
  } catch (cause) {
    throw new NixmakerError('cannot-listen', messageOf(cause), { cause });
  }
  return {
    port: (server.address() as AddressInfo).port,
    close: async () => {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** Threat: one client takes all connections. */
function boundByAddress(server: Server): void {
  const counts = new Map<string, number>();
  server.on('connection', (socket: Socket) => {
    const from = socket.remoteAddress ?? '';
    const count = (counts.get(from) ?? 0) + 1;
    if (count > mostOfAddress) return void socket.destroy();
    counts.set(from, count);
    socket.once('close', () => {
      const left = (counts.get(from) ?? 1) - 1;
      if (left === 0) counts.delete(from);
      else counts.set(from, left);
    });
  });
}

/**
 * Threat: a client that sends hundreds of requests and reads no answer: Node.js begins them all, and tells none but the first that the
 * client has gone.
 */
function mayAnswer(
  unanswered: WeakMap<Socket, Set<ServerResponse>>,
  socket: Socket,
  response: ServerResponse,
): boolean {
  let responses = unanswered.get(socket);
  if (responses === undefined) {
    const ours = new Set<ServerResponse>();
    unanswered.set(socket, ours);
    socket.once('close', () => {
      for (const each of ours) each.destroy();
    });
    responses = ours;
  }
  if (socket.destroyed || responses.size === mostUnanswered) {
    socket.destroy();
    return false;
  }
  responses.add(response);
  response.once('close', () => responses.delete(response));
  return true;
}

async function answer(request: IncomingMessage, response: ServerResponse, handlers: Handlers): Promise<void> {
  const { method, url: path = '' } = request;
  try {
    if (method === 'GET' || method === 'HEAD') await give(request, response, handlers);
    else if (method === 'PUT') await take(request, response, handlers);
    else end(response, 405);
  } catch (error) {
    // The client has gone, or does not read.
    if (!hasErrno(error, 'ERR_STREAM_PREMATURE_CLOSE', 'ECONNRESET', 'EPIPE')) handlers.failed(path, error);
    if (response.headersSent) response.destroy();
    else end(response, 503);
  }
}

function end(response: ServerResponse, status: number): void {
  // What was not read of the request is not read any more.
  response.writeHead(status, { ...fixed, 'content-length': 0, connection: 'close' }).end();
}

async function give(request: IncomingMessage, response: ServerResponse, { read }: Handlers): Promise<void> {
  const file = await read(request.url ?? '');
  if (file === undefined) {
    response.writeHead(404, { ...fixed, 'content-length': 0 }).end();
    return;
  }
  try {
    await send(request, response, file);
  } finally {
    await file.close();
  }
}

async function send(request: IncomingMessage, response: ServerResponse, file: ServedFile): Promise<void> {
  const { size, etag } = file;
  const tag = etag === undefined ? {} : { etag };
  const part = partOf(request, file);
  if (part === 'none') {
    response.writeHead(416, { ...fixed, 'content-range': `bytes */${size}`, 'content-length': 0 }).end();
    return;
  }
  const [start, stop] = part ?? [0, size];
  const range = part === undefined ? {} : { 'content-range': `bytes ${start}-${stop - 1}/${size}` };
  const headers = { ...fixed, ...tag, ...range, 'content-length': stop - start };
  response.writeHead(part === undefined ? 200 : 206, headers);
  if (request.method === 'HEAD' || start === stop) {
    response.end();
    return;
  }
  const deadline = setTimeout(() => response.destroy(), 60_000 + ((stop - start) / slowest) * 1000);
  try {
    await pipeline(file.stream(start, stop), response);
  } finally {
    clearTimeout(deadline);
  }
}

/** From and to (exclusive); undefined for all of it. One range, counted from the beginning; any other wish is not heard (RFC 9110, 14.2). */
function partOf(
  { headers }: IncomingMessage,
  { size, etag }: ServedFile,
): readonly [number, number] | 'none' | undefined {
  const asked = /^bytes=([0-9]{1,15})-([0-9]{0,15})$/.exec(headers.range ?? '');
  if (asked === null || (headers['if-range'] !== undefined && headers['if-range'] !== etag)) return undefined;
  const start = Number(asked[1]);
  const stop = asked[2] === '' ? size : Math.min(size, Number(asked[2]) + 1);
  return start < stop ? [start, stop] : 'none';
}

async function take(
  request: IncomingMessage,
  response: ServerResponse,
  { mayPut, put }: Handlers,
): Promise<void> {
  const { url: path = '', headers } = request;
  const allowed = mayPut(path);
  if (typeof allowed === 'number') return end(response, allowed);
  // Chunks have no length that is known before.
  const length = Number(headers['content-length'] ?? Number.NaN);
  if (!Number.isSafeInteger(length)) return end(response, 411);
  if (length > allowed.most) return end(response, 413);
  if (headers.expect !== undefined) response.writeContinue();
  // In place: what comes in pieces would be in memory twice.
  const bytes = Buffer.allocUnsafeSlow(length);
  let at = 0;
  for await (const chunk of request as AsyncIterable<Buffer>) at += chunk.copy(bytes, at);
  end(response, await put(path, bytes.subarray(0, at)));
}
