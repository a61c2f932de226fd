/** How a server is reached: TLS, certificates, a proxy. */
import { readFile } from 'node:fs/promises';
import {
  Agent as HttpAgent,
  request as httpRequest,
  type IncomingMessage,
  type RequestOptions,
} from 'node:http';
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { given } from '../core/given.ts';

/** Bytes of an answer’s headers; a certificate or key file may have as many times sixteen. */
const mostHeaderBytes = 16 * 1024;

export interface ConnectionOptions {
  readonly url: string;
  readonly caFile?: string | undefined;
  readonly certificateFile?: string | undefined;
  readonly keyFile?: string | undefined;
  readonly proxy?: string | undefined;
}

type Request = (
  url: URL,
  options: RequestOptions,
  onResponse: (response: IncomingMessage) => void,
) => ReturnType<typeof httpRequest>;

export interface Connection {
  /** Ends with a slash. */
  readonly base: URL;
  to(url: URL): { readonly request: Request; readonly options: RequestOptions };
  close(): void;
}

type ProxyEnv = Readonly<Record<string, string | undefined>>;

/** @param env for the proxies named in it @throws NixmakerError `key-malformed`, `no-such-file`, `no-access` */
export async function openConnection(options: ConnectionOptions, env: ProxyEnv): Promise<Connection> {
  const { url, proxy } = options;
  const base = new URL(url.endsWith('/') ? url : `${url}/`);
  const proxyEnv = proxy === undefined ? proxiesIn(env) : { HTTP_PROXY: proxy, HTTPS_PROXY: proxy };
  // Each connection is used again; a server that closes one meanwhile is asked once more by whoever reads.
  const common = { keepAlive: true, maxSockets: 8, proxyEnv };
  const [ca, cert, key] = await Promise.all(
    [options.caFile, options.certificateFile, options.keyFile].map((file) => file && readPem(file)),
  );
  const agents = {
    'http:': new HttpAgent(common),
    'https:': makeTlsAgent({ ...common, ...given({ ca, cert, key }) }),
  };
  const plain = { maxHeaderSize: mostHeaderBytes };
  return {
    base,
    to: ({ protocol }) =>
      protocol === 'https:'
        ? { request: httpsRequest, options: { ...plain, agent: agents['https:'] } }
        : { request: httpRequest, options: { ...plain, agent: agents['http:'] } },
    close: () => {
      for (const agent of Object.values(agents)) agent.destroy();
    },
  };
}

/** @throws NixmakerError `key-malformed` */
function makeTlsAgent(options: ConstructorParameters<typeof HttpsAgent>[0]): HttpsAgent {
  return new HttpsAgent({ ...options, minVersion: 'TLSv1.2' });
}

async function readPem(file: string): Promise<Buffer> {
  const bytes = await readFile(file);
  if (bytes.includes('-----BEGIN ')) return bytes;
  throw new NixmakerError('key-malformed', `${messageOf(file)} has no certificate or key in PEM form`);
}

/** Lower case wins, as with curl; NO_PROXY counts as Node.js reads it (nodejs.org/api/http.html, “Built-in Proxy Support”). */
function proxiesIn(env: ProxyEnv): Record<string, string> {
  const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'NO_PROXY'];
  const found = names.map((name) => [name, env[name.toLowerCase()] ?? env[name]] as const);
  return Object.fromEntries(found.filter((pair): pair is [string, string] => pair[1] !== undefined));
}
