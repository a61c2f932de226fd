/**
 * Requests from the unprivileged agent to root: one file each, in a folder that belongs to the agent.
 *
 * Threat: an agent that was taken over. To root, all in that folder is hostile: it is opened without following links,
 * must be a plain file of the agent's own and of bounded size, and is read once and removed whatever it was. All names
 * are taken relative to the opened folder, which can't be swapped for a link in between.
 */
import { constants } from 'node:fs';
import { open, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { ifMissing } from '../core/errno.ts';
import { messageOf } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { findingsParser, receiptRunParser } from '../core/run/host-receipt.ts';
import { absolutePath, operation } from '../core/schema.ts';
import { openFolder } from '../files/folder.ts';
import { writeDurably } from './durable.ts';

const request = z.strictObject({
  schema: z.literal(1),
  transaction: z.string().regex(/^[0-9a-f]{12}$/),
  operation,
  /** Name of the bundle, for people. */
  source: z.string().max(4096),
  manifest: z.base64(),
  signatures: z.base64(),
});

export type ActivationRequestFile = z.infer<typeof request>;

const visit = z.strictObject({
  schema: z.literal(1),
  transaction: z.string().regex(/^[0-9a-f]{12}$/),
  /** Where the medium is mounted, or the carrier's folder. */
  place: absolutePath,
  findings: findingsParser,
  /** What became of bundles that root has not heard of. */
  runs: z.array(receiptRunParser).max(100),
});

/** A medium is done with: receipts may be written to it. */
export type VisitFile = z.infer<typeof visit>;

const keyringRequest = z.strictObject({
  schema: z.literal(1),
  transaction: z.string().regex(/^[0-9a-f]{12}$/),
  /** As it came, signatures and all. */
  envelope: z.string().max(limits.keyringBytes),
});

/** A keyring that has come along. */
export type KeyringRequestFile = z.infer<typeof keyringRequest>;

const vouchRequest = request.pick({ schema: true, transaction: true, manifest: true, signatures: true });

/** A verified manifest whose paths Nix would take from nobody else. */
export type VouchRequestFile = z.infer<typeof vouchRequest>;

export interface RequestKind<T> {
  readonly folder: string;
  readonly parser: z.ZodType<T>;
}

/** The kinds of requests, each with a folder of its own. */
export const activationRequests: RequestKind<ActivationRequestFile> = { folder: 'requests', parser: request };
export const visitRequests: RequestKind<VisitFile> = { folder: 'visits', parser: visit };
export const keyringRequests: RequestKind<KeyringRequestFile> = {
  folder: 'keyrings',
  parser: keyringRequest,
};
export const vouchRequests: RequestKind<VouchRequestFile> = { folder: 'vouchers', parser: vouchRequest };

/** Requests read at one time; more are read the next time. */
const most = 16;

export async function writeRequest<T extends { readonly transaction: string }>(
  runtimeDirectory: string,
  { folder }: RequestKind<T>,
  contents: T,
): Promise<void> {
  await writeDurably(
    join(runtimeDirectory, folder, `${contents.transaction}.json`),
    JSON.stringify(contents),
    0o600,
  );
}

export interface RequestServer<T> {
  /** @param acknowledge removes the request; called once its run is on disk, so that a request is never lost */
  serve(request: T, acknowledge: () => Promise<void>): Promise<void>;
  /** What lay there and was no request. It is gone by now. */
  reject(name: string, reason: string): void;
}

/** Goes through what lies in the folder. Never throws for what it finds there. @returns how many requests were served */
export async function serveRequests<T>(
  runtimeDirectory: string,
  kind: RequestKind<T>,
  server: RequestServer<T>,
): Promise<number> {
  const folder = await openFolder(join(runtimeDirectory, kind.folder)).catch(ifMissing(undefined));
  if (folder === undefined) return 0;
  const { path: base, handle } = folder;
  try {
    const owner = (await handle.stat()).uid;
    let served = 0;
    // Another name is one that is being written (write-file-atomic renames), or nothing of ours.
    const names = (await readdir(base)).filter((name) => name.endsWith('.json'));
    for (const name of names.sort().slice(0, most)) {
      const path = join(base, name);
      const read = await readRequest(path, owner, kind.parser);
      if (typeof read === 'string') {
        await remove(path);
        server.reject(name, read);
      } else {
        await server.serve(read, () => remove(path));
        served += 1;
      }
    }
    return served;
  } finally {
    await handle.close();
  }
}

async function readRequest<T>(path: string, owner: number, parser: z.ZodType<T>): Promise<T | string> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK).catch(
    messageOf,
  );
  if (typeof file === 'string') return file;
  try {
    const stat = await file.stat();
    const { uid, nlink, size } = stat;
    if (!stat.isFile()) return 'it is not a regular file';
    if (uid !== owner || nlink !== 1) return 'it is not the agent’s own';
    if (size > limits.requestBytes) return `it has ${size} bytes, at most ${limits.requestBytes} are read`;
    const parsed = parser.safeParse(JSON.parse(await file.readFile('utf8')));
    return parsed.success ? parsed.data : 'it is not a request';
  } catch (error) {
    return messageOf(error);
  } finally {
    await file.close();
  }
}

/** A folder in its place goes if it is empty; what it holds is not ours to walk through. */
async function remove(path: string): Promise<void> {
  await unlink(path).catch(() => rmdir(path).catch(() => undefined));
}
