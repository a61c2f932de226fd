/**
 * Reading files from a server that nobody trusts, with Node.js’ own HTTP (docs/adr/0029). Nothing is decompressed, no cookie is kept, no
 * header of the server’s counts but those read here; what a file must be is known from what was signed, and checked by whoever asked.
 */
import type { IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { NixmakerError } from '../core/errors.ts';
import type { Clock } from '../core/ports.ts';
import type { Connection } from './connection.ts';
import { asServerError, asStatusError } from './failure.ts';
import { LeastSpeed, type RateLimit } from './pace.ts';

const usualPatience = 30_000;
const mostRedirects = 5;

/** Where to go on in a file that has come in part. */
export interface Part {
  /** Bytes that are here. */
  readonly from: number;
  /** What the server called the file then; the part is of no use if it is another file now. */
  readonly etag: string | undefined;
}

export interface Answer {
  /** Where the body begins: 0 unless the server went on where it was asked to. */
  readonly from: number;
  /** A strong one, as it may be sent back in If-Range (RFC 9110, 13.1.5). */
  readonly etag: string | undefined;
  readonly body: AsyncIterable<Buffer>;
  /** Ends the connection, if the body is not read to its end. */
  readonly discard: () => void;
}

export interface ClientOptions {
  readonly connection: Connection;
  readonly rate: RateLimit;
  readonly clock: Pick<Clock, 'monotonic' | 'sleep'>;
  /** Milliseconds in which a connection must be made and answered, and between any two bytes. */
  readonly patience?: number;
}

export class Client {
  readonly #options: ClientOptions;
  /** For people. */
  readonly name: string;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.name = options.connection.base.host;
  }

  /**
   * A file. @param path below the URL, as in a pool
   * @param most bytes the whole file may have
   * @returns undefined if the server has none
   * @throws NixmakerError `source-unreachable`, `source-untrusted`, `source-refused`, `source-misbehaves`
   */
  async get(path: string, most: number, part?: Part): Promise<Answer | undefined> {
    const headers: Record<string, string> = { 'accept-encoding': 'identity' };
    const { from = 0, etag } = part ?? {};
    if (from > 0) headers.range = `bytes=${from}-`;
    if (from > 0 && etag !== undefined) headers['if-range'] = etag;
    const response = await this.#follow(path, headers);
    try {
      return this.#answerOf(response, { path, most, from });
    } catch (error) {
      response.destroy();
      throw error;
    }
  }

  /** A small file in full. @throws NixmakerError as `get` */
  async small(path: string, most: number): Promise<Buffer | undefined> {
    const answer = await this.get(path, most);
    if (answer === undefined) return undefined;
    const chunks: Buffer[] = [];
    for await (const chunk of answer.body) chunks.push(chunk);
    return Buffer.concat(chunks);
  }

  /** Sends a file. @returns whether it was taken; false if this server takes none @throws NixmakerError as `get` */
  async put(path: string, bytes: Buffer): Promise<boolean> {
    const response = await this.#request(this.#urlOf(path), { method: 'PUT', headers: {}, body: bytes });
    response.destroy();
    const { statusCode: status = 0 } = response;
    if (status >= 200 && status < 300) return true;
    if ([401, 403, 404, 405, 501].includes(status)) return false;
    throw asStatusError(status, `${this.name}: ${path}`);
  }

  close(): void {
    this.#options.connection.close();
  }

  #urlOf = (path: string): URL => new URL(path, this.#options.connection.base);

  #answerOf(
    response: IncomingMessage,
    { path, most, from }: { readonly path: string; readonly most: number; readonly from: number },
  ): Answer | undefined {
    const { statusCode: status = 0, headers } = response;
    const what = `${this.name}: ${path}`;
    // A store that won’t list its objects calls those that are missing forbidden.
    if ([403, 404, 410].includes(status)) {
      response.destroy();
      return undefined;
    }
    const misbehaves = (how: string) => new NixmakerError('source-misbehaves', `${what}: ${how}`);
    if (![200, 206].includes(status) || (status === 206 && from === 0)) throw asStatusError(status, what);
    if (!['identity', undefined].includes(headers['content-encoding']))
      throw misbehaves('it is compressed, which was not asked for');
    const start = status === 206 ? from : 0;
    if (status === 206 && !startsAt(headers['content-range'], from))
      throw misbehaves('another part than the one asked for');
    const length = Number(headers['content-length'] ?? 0);
    if (start + length > most) throw misbehaves(`${start + length} bytes; at most ${most} were expected`);
    const etag = /^"[\x21\x23-\x7e]{1,200}"$/.exec(headers.etag ?? '')?.[0];
    const body = this.#bodyOf(response, {
      most: most - start,
      tooMany: () => misbehaves(`more than ${most} bytes`),
    });
    return { from: start, etag, body, discard: () => void response.destroy() };
  }

  async *#bodyOf(
    response: IncomingMessage,
    { most, tooMany }: { readonly most: number; readonly tooMany: () => NixmakerError },
  ): AsyncGenerator<Buffer, void, void> {
    const { rate, clock } = this.#options;
    const speed = new LeastSpeed(clock);
    let left = most;
    try {
      for await (const chunk of response as AsyncIterable<Buffer>) {
        left -= chunk.length;
        if (left < 0) throw tooMany();
        speed.add(chunk.length);
        // The server isn’t to blame for how long we take.
        waitFor(response, 0);
        await rate.spend(chunk.length);
        yield chunk;
        waitFor(response, this.#patience);
      }
    } catch (error) {
      throw asServerError(error, this.name);
    } finally {
      response.destroy();
    }
  }

  /** Threat: round and round, or to a place where this machine’s word counts for more than the server’s. */
  async #follow(path: string, headers: Readonly<Record<string, string>>): Promise<IncomingMessage> {
    let url = this.#urlOf(path);
    for (let redirects = 0; ; redirects += 1) {
      const response = await this.#request(url, { method: 'GET', headers });
      const { statusCode: status = 0 } = response;
      if (![301, 302, 303, 307, 308].includes(status)) return response;
      response.destroy();
      const next = URL.parse(response.headers.location ?? '', url.href);
      const why = redirects === mostRedirects ? `more than ${mostRedirects} redirects` : whyNot(url, next);
      if (why !== undefined || next === null)
        throw new NixmakerError('source-misbehaves', `${this.name}: ${path}: ${why}`);
      url = next;
    }
  }

  get #patience(): number {
    return this.#options.patience ?? usualPatience;
  }

  #request(url: URL, { method, headers, body }: Sent): Promise<IncomingMessage> {
    const { request, options } = this.#options.connection.to(url);
    const patience = this.#patience;
    return new Promise((resolve, reject) => {
      const length = body === undefined ? {} : { 'content-length': String(body.length) };
      const sent = request(url, { ...options, method, headers: { ...headers, ...length } }, (response) => {
        clearTimeout(deadline);
        resolve(response);
      });
      const late = () =>
        sent.destroy(
          new NixmakerError('source-unreachable', `${this.name}: no answer in ${patience / 1000} s`),
        );
      const deadline = setTimeout(late, patience);
      sent.setTimeout(patience, late);
      sent.on('error', (error) => {
        clearTimeout(deadline);
        reject(asServerError(error, this.name));
      });
      sent.end(body);
    });
  }
}

/** It has no connection any more once all of it has come. @param milliseconds 0: for ever */
const waitFor = ({ socket }: { readonly socket: Socket | null }, milliseconds: number): void =>
  void socket?.setTimeout(milliseconds);

interface Sent {
  readonly method: 'GET' | 'PUT';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

/** Only elsewhere on the same machine, and never from an encrypted connection to an open one. */
function whyNot(from: URL, to: URL | null): string | undefined {
  if (to === null) return 'a redirect to nowhere';
  if (to.hostname !== from.hostname) return 'a redirect to another server';
  if (to.protocol !== from.protocol && to.protocol !== 'https:')
    return 'a redirect to an unencrypted address';
  return to.username === '' ? undefined : 'a redirect with a user name';
}

const startsAt = (range: string | undefined, from: number): boolean =>
  range?.startsWith(`bytes ${from}-`) === true;
