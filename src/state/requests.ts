/**
 * Requests from the unprivileged agent to root: one file each, in a folder that belongs to the agent.
 *
 * Threat: an agent that was taken over. To root, all in that folder is hostile: it is opened without following links,
 * must be a plain file of the agent's own and of bounded size, and is read once and removed whatever it was. All names
 * are taken relative to the opened folder, which can't be swapped for a link in between.
 */
import { constants } from 'node:fs';
import { open, readdir, rm, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { ifMissing } from '../core/errno.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { findingsParser, receiptRunParser } from '../core/run/host-receipt.ts';
import { absolutePath, operation } from '../core/schema.ts';
import { openFolder } from '../files/folder.ts';
import { namesIn } from '../files/read.ts';
import { writeDurably } from './durable.ts';
import { clearPutAside, outOfSight } from './put-aside.ts';

const request = z.strictObject({
  schema: z.literal(2),
  transaction: z.string().regex(/^[0-9a-f]{12}$/),
  operation,
  /** Name of the bundle, for people. */
  source: z.string().max(4096),
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

const vouchRequest = request.pick({ schema: true, transaction: true });

/** A verified release whose paths Nix would take from nobody else. */
export type VouchRequestFile = z.infer<typeof vouchRequest>;

export interface RequestKind<T> {
  readonly folder: string;
  readonly parser: z.ZodType<T>;
}

/** What comes with a request as files of its own, `<transaction>.<kind>`. */
export const attachmentKinds = ['manifest', 'signatures', 'index'] as const;
export type AttachmentKind = (typeof attachmentKinds)[number];

export interface Attachments {
  /**
   * All of it, at most so many bytes. Read anew each time: to be called once for each.
   * @throws NixmakerError `bundle-malformed` where there is none, or it is not the agent’s own plain file
   */
  read(kind: AttachmentKind, most: number): Promise<Buffer>;
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
  attachments: Partial<Record<AttachmentKind, Buffer>> = {},
): Promise<void> {
  const place = join(runtimeDirectory, folder);
  await clearPutAside(place);
  if (Object.keys(attachments).length > 0) await clearAway(place);
  for (const [kind, bytes] of Object.entries(attachments))
    await writeDurably(join(place, `${contents.transaction}.${kind}`), bytes, 0o600);
  // Last: it is what root’s unit waits for.
  await writeDurably(join(place, `${contents.transaction}.json`), JSON.stringify(contents), 0o600);
}

/**
 * Whoever has asked before has its answer, or has gone; what it left takes memory, and without its attachments a request would be refused.
 * So requests go first.
 */
async function clearAway(place: string): Promise<void> {
  const names = await namesIn(place);
  const requests = names.filter((name) => name.endsWith('.json'));
  for (const name of [...requests, ...names.filter(isAttachment)])
    await rm(join(place, name), { force: true, recursive: true });
}

const isAttachment = (name: string) => attachmentKinds.some((kind) => name.endsWith(`.${kind}`));

export interface Serving {
  /** Removes the request; called once its run is on disk, so that a request is never lost. Its attachments stay until it is served. */
  readonly acknowledge: () => Promise<void>;
  readonly attached: Attachments;
}

export interface RequestServer<T> {
  serve(request: T, serving: Serving): Promise<void>;
  /** What lay there and was no request. It is out of the unit’s sight by now. */
  reject(name: string, reason: string): void;
  /** What could not even be renamed. */
  stuck(name: string): void;
}

/** Goes through what lies in the folder. Never throws for what it finds there. @returns how many names are gone by now */
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
    // Another name is one that is being written (write-file-atomic renames), or nothing of ours.
    const names = (await readdir(base, { encoding: 'buffer' })).filter((name) =>
      asText(name).endsWith('.json'),
    );
    let gone = 0;
    for (const name of names.sort(Buffer.compare).slice(0, most)) {
      if (await serveName({ base, name, owner }, kind.parser, server)) gone += 1;
      else server.stuck(asText(name));
    }
    return gone;
  } finally {
    await handle.close();
  }
}

/** One character a byte: no name is lost that is no UTF-8, for systemd sees it as well. */
const asText = (name: Buffer) => name.toString('latin1');

interface Named {
  readonly base: string;
  readonly name: Buffer;
  readonly owner: number;
}

/** @returns whether the name is out of sight by now */
async function serveName<T>(
  { base, name, owner }: Named,
  parser: z.ZodType<T>,
  { serve, reject }: RequestServer<T>,
): Promise<boolean> {
  const path = join(base, name.toString());
  const stem = path.slice(0, -'.json'.length);
  const read = await readRequest(path, owner, parser);
  let isGone = false;
  const acknowledge = async () => {
    isGone = await outOfSight(base, name);
  };
  if (typeof read === 'string') {
    await acknowledge();
    reject(asText(name), read);
  } else await serve(read, { acknowledge, attached: attachmentsOf(stem, owner) });
  for (const kind of attachmentKinds) await remove(`${stem}.${kind}`);
  return isGone;
}

const attachmentsOf = (stem: string, owner: number): Attachments => ({
  read: async (kind, most) => {
    try {
      return await readOwned(`${stem}.${kind}`, owner, most);
    } catch (error) {
      throw new NixmakerError('bundle-malformed', `the request’s ${kind}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  },
});

async function readRequest<T>(path: string, owner: number, parser: z.ZodType<T>): Promise<T | string> {
  try {
    const bytes = await readOwned(path, owner, limits.requestBytes);
    const parsed = parser.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? parsed.data : 'it is not a request';
  } catch (error) {
    return messageOf(error);
  }
}

/** @throws Error where it is no plain file of the agent’s own, or larger */
async function readOwned(path: string, owner: number, most: number): Promise<Buffer> {
  const file = await open(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
  try {
    const stat = await file.stat();
    const { uid, nlink, size } = stat;
    if (!stat.isFile()) throw new Error('it is not a regular file');
    if (uid !== owner || nlink !== 1) throw new Error('it is not the agent’s own');
    if (size > most) throw new Error(`it has ${size} bytes, at most ${most} are read`);
    // No more than it had: it may grow while it is read.
    const bytes = Buffer.alloc(size);
    const { bytesRead } = await file.read(bytes, 0, size, 0);
    return bytes.subarray(0, bytesRead);
  } finally {
    await file.close();
  }
}

/** A folder in its place goes if it is empty; what it holds is not ours to walk through. */
async function remove(path: string): Promise<void> {
  await unlink(path).catch(() => rmdir(path).catch(() => undefined));
}
