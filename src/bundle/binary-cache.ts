/**
 * A binary cache for the length of one import: members of an open bundle over HTTP on the loopback address, under a
 * path nobody else can guess. Nix reads the bundle through it; the bundle is never unpacked (DESIGN §3).
 *
 * Threat: other users of the machine can connect to the port. All they could get is what the bundle holds, and
 * without the path not even that.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pipeline } from 'node:stream/promises';
import { NixmakerError } from '../core/errors.ts';
import { type OpenedBundle, readMember, streamMember } from './contents.ts';

export interface BinaryCache {
  readonly url: string;
  /** The first fault met while serving; the reason when Nix reports a failed download. */
  readonly fault: () => NixmakerError | undefined;
  readonly bytesServed: () => number;
  close(): Promise<void>;
}

/**
 * @param secret an unguessable path segment, from the composition's randomness
 * @param signatures by store path: added to the narinfos that the bundle holds
 */
export async function serveBundle(
  bundle: OpenedBundle,
  secret: string,
  signatures: Readonly<Record<string, string>> = {},
): Promise<BinaryCache> {
  let fault: NixmakerError | undefined;
  let served = 0;

  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const name = request.url?.startsWith(`/${secret}/`) ? request.url.slice(secret.length + 2) : undefined;
    const member = name === undefined ? undefined : bundle.members.get(name);
    if (member === undefined || (request.method !== 'GET' && request.method !== 'HEAD')) {
      response.writeHead(404, { 'content-length': 0 }).end();
      return;
    }
    const path = bundle.narinfos.get(member.name)?.path;
    const signature = path === undefined ? undefined : signatures[path];
    const added = Buffer.from(signature === undefined ? '' : `Sig: ${signature}\n`);
    const length = member.size + added.length;
    const headers = { 'content-length': length, 'content-type': 'application/octet-stream' };
    if (request.method === 'HEAD') {
      response.writeHead(200, headers).end();
    } else if (member.name.startsWith('nar/')) {
      response.writeHead(200, headers);
      await pipeline(streamMember(bundle, member), response);
      served += member.size;
    } else {
      // Headers and body in one write: thousands of small answers.
      response.writeHead(200, headers).end(Buffer.concat([await readMember(bundle, member), added]));
    }
  };

  const server = createServer({ keepAlive: true, keepAliveTimeout: 60_000 }, (request, response) => {
    answer(request, response).catch((error: unknown) => {
      // A connection Nix itself has closed is not the bundle's fault.
      if (error instanceof NixmakerError) fault ??= error;
      response.destroy();
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ host: '127.0.0.1', port: 0 }, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}/${secret}`,
    fault: () => fault,
    bytesServed: () => served,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
