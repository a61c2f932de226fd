/**
 * Requests from the unprivileged agent to root: one file each, in a folder that belongs to the agent.
 *
 * Threat: a compromised agent. To root, everything in that folder is hostile: each file is opened without following links, must be a
 * regular file of the agent’s own and of bounded size, and is read once and removed whatever it was. All names are relative to the opened
 * folder, which can’t be swapped for a link in between.
 */
import { rm, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isMissing } from '../core/errno.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { ageRecipient } from '../core/public-keys.ts';
import { mostParts } from '../core/release/parts.ts';
import { findingsParser, mostRecipients, receiptRunParser } from '../core/run/host-receipt.ts';
import { absolutePath, operation } from '../core/schema.ts';
import * as z from '../core/zod.ts';
import {
  isWrongKind,
  type OpenFolder,
  openForeignIn,
  openPlainFileIn,
  readAll,
  withForeign,
} from '../files/foreign.ts';
import { eachName, isThere } from '../files/read.ts';
import { writeDurably } from './durable.ts';
import { clearPutAside, outOfSight } from './put-aside.ts';
import { findWaiting, isWaiting } from './waiting.ts';

const request = z.strictObject({
  schema: z.literal(2),
  transaction: z.string().check(z.regex(/^[0-9a-f]{12}$/)),
  /** What agents before 0.1 asked for. Root does what its own policy says, whatever this contains. */
  operation: z.optional(operation),
  /** Name of the bundle, for people. */
  source: z.string().check(z.maxLength(4096)),
});

export type ActivationRequestFile = z.infer<typeof request>;

const part = z.int().check(z.gte(1), z.lte(mostParts));

const visit = z.strictObject({
  schema: z.literal(1),
  transaction: z.string().check(z.regex(/^[0-9a-f]{12}$/)),
  /** Where the medium is mounted, or the carrier's folder. */
  place: absolutePath,
  findings: findingsParser,
  /** What became of bundles that root has not heard of. */
  runs: z.array(receiptRunParser).check(z.maxLength(100)),
  /** To whom bundles for this machine can be encrypted: the agent has the keys. */
  ageRecipients: z.optional(z.array(ageRecipient).check(z.maxLength(mostRecipients))),
  /** Set if no receipt is due: nothing was for this machine, or it could not be read, or no longer. A person is told all the same. */
  without: z.optional(z.enum(['nothing', 'unreadable', 'silent', 'misnamed'])),
  /** Set if the last run waits for other media: how many there are, and which it still needs. Told to people as the agent’s word. */
  parts: z.optional(
    z.strictObject({ of: part, needed: z.array(part).check(z.minLength(1), z.maxLength(mostParts)) }),
  ),
});

/** A medium is finished with: receipts may be written to it. */
export type VisitFile = z.infer<typeof visit>;

const keyringRequest = z.strictObject({
  schema: z.literal(1),
  transaction: z.string().check(z.regex(/^[0-9a-f]{12}$/)),
  /** As it came, signatures and all. */
  envelope: z.string().check(z.maxLength(limits.keyringBytes)),
});

/** A keyring that has arrived. */
export type KeyringRequestFile = z.infer<typeof keyringRequest>;

const vouchRequest = z.pick(request, { schema: true, transaction: true });

/** A verified release whose paths Nix would accept from nobody else. */
export type VouchRequestFile = z.infer<typeof vouchRequest>;

/** A verified release for which there is not enough room. */
export type RoomRequestFile = z.infer<typeof vouchRequest>;

/** Whole contents of damaged paths have been brought into the store. */
export type RepairRequestFile = z.infer<typeof vouchRequest>;
/** What is staged may be due. */
export type StagedRequestFile = z.infer<typeof vouchRequest>;

export interface RequestKind<T> {
  readonly folder: string;
  readonly parser: z.ZodMiniType<T>;
}

/** What comes with a request in files of its own, `<transaction>.<kind>`. */
export const attachmentKinds = ['manifest', 'signatures', 'index'] as const;
export type AttachmentKind = (typeof attachmentKinds)[number];

export interface Attachments {
  /**
   * All of it, up to this many bytes. Read again each time: call it once for each.
   * @throws NixmakerError `bundle-malformed` if there is none, or it is not a regular file of the agent’s own
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
export const repairRequests: RequestKind<RepairRequestFile> = { folder: 'repairs', parser: vouchRequest };
export const stagedRequests: RequestKind<StagedRequestFile> = { folder: 'staged', parser: vouchRequest };
export const roomRequests: RequestKind<RoomRequestFile> = { folder: 'rooms', parser: vouchRequest };

/** Requests served in one batch, the newest; the others are served next time. */
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
  // Last, because it is what root’s unit waits for.
  await writeDurably(join(place, `${contents.transaction}.json`), JSON.stringify(contents), 0o600);
}

/** For whoever has asked. */
export const isRequestThere = (
  runtimeDirectory: string,
  { folder }: Pick<RequestKind<unknown>, 'folder'>,
  { transaction }: { readonly transaction: string },
): Promise<boolean> => isThere(join(runtimeDirectory, folder, `${transaction}.json`));

/**
 * Whoever asked before has its answer, or is gone; what it left behind takes up memory, and a request without its attachments would be
 * refused. So requests go first.
 */
async function clearAway(place: string): Promise<void> {
  const isRequest = (name: string) => name.endsWith('.json');
  for (const isMeant of [isRequest, isAttachment])
    for await (const name of eachName(place))
      if (isMeant(name)) await rm(join(place, name), { force: true, recursive: true });
}

const isAttachment = (name: string) => attachmentKinds.some((kind) => name.endsWith(`.${kind}`));

export interface Serving {
  /** Removes the request; called once its run is on disk, so that a request is never lost. Its attachments stay until it is served. */
  readonly acknowledge: () => Promise<void>;
  readonly attached: Attachments;
}

export interface RequestServer<T> {
  serve(request: T, serving: Serving): Promise<void>;
  /** Something there that was no request. It is already out of the unit’s sight. */
  reject(name: string, reason: string): void;
  /** Something that could not even be renamed. */
  stuck(name: string): void;
  /** This many, the oldest, are also out of sight, and nobody has read them. */
  passedOver(count: number): void;
}

/** Goes through the contents of the folder. Never throws because of what it finds there. @returns how many names are now gone */
export async function serveRequests<T>(
  runtimeDirectory: string,
  kind: RequestKind<T>,
  server: RequestServer<T>,
): Promise<number> {
  const folder = await openRequests(runtimeDirectory, kind.folder, server);
  if (folder === undefined) return 0;
  const { handle } = folder;
  try {
    const owner = (await handle.stat()).uid;
    const { newest, passedOver, stuck } = await findWaiting(folder, most);
    if (passedOver > 0) server.passedOver(passedOver);
    if (stuck !== undefined) server.stuck(asText(stuck));
    let gone = passedOver;
    for (const name of newest) {
      if (await serveName({ folder, name, owner }, kind.parser, server)) gone += 1;
      else server.stuck(asText(name));
    }
    return gone;
  } finally {
    await handle.close();
  }
}

/** Whether requests of any of these kinds wait; what they are is not looked at. */
export async function isAsked(
  runtimeDirectory: string,
  kinds: readonly Pick<RequestKind<unknown>, 'folder'>[],
): Promise<boolean> {
  for (const kind of kinds) {
    const folder = await openRequests(runtimeDirectory, kind.folder, { reject: () => undefined });
    if (folder === undefined) continue;
    if (await isWaiting(folder).finally(() => folder.handle.close())) return true;
  }
  return false;
}

/** Undefined if there is none, or something else in its place, which holds up no other kind of request. */
async function openRequests(
  runtimeDirectory: string,
  name: string,
  { reject }: Pick<RequestServer<never>, 'reject'>,
): Promise<OpenFolder | undefined> {
  try {
    return await withForeign(runtimeDirectory, (folder) => openForeignIn(folder, name));
  } catch (error) {
    if (isMissing(error)) return undefined;
    if (!isWrongKind(error)) throw error;
    reject(name, `it is not a folder: ${messageOf(error)}`);
    return undefined;
  }
}

/** A file that must be the agent’s own. */
interface Owned {
  readonly folder: OpenFolder;
  readonly name: string;
  readonly owner: number;
}

/** One character per byte: a name that is not UTF-8 is not lost, because systemd sees it as well. */
const asText = (name: Buffer) => name.toString('latin1');

/** @returns whether the name is now out of sight */
async function serveName<T>(
  { folder, name, owner }: Omit<Owned, 'name'> & { readonly name: Buffer },
  parser: z.ZodMiniType<T>,
  { serve, reject }: RequestServer<T>,
): Promise<boolean> {
  const stem = name.toString().slice(0, -'.json'.length);
  const read = await readRequest({ folder, name: `${stem}.json`, owner }, parser);
  let isGone = false;
  const acknowledge = async () => {
    isGone = await outOfSight(folder.path, name);
  };
  if (typeof read === 'string') {
    await acknowledge();
    reject(asText(name), read);
  } else await serve(read, { acknowledge, attached: attachmentsOf({ folder, name: stem, owner }) });
  for (const kind of attachmentKinds) await remove(join(folder.path, `${stem}.${kind}`));
  return isGone;
}

const attachmentsOf = ({ name, ...owned }: Owned): Attachments => ({
  read: async (kind, most) => {
    try {
      return await readOwned({ ...owned, name: `${name}.${kind}` }, most);
    } catch (error) {
      throw new NixmakerError('bundle-malformed', `the request’s ${kind}: ${messageOf(error)}`, {
        cause: error,
      });
    }
  },
});

async function readRequest<T>(owned: Owned, parser: z.ZodMiniType<T>): Promise<T | string> {
  try {
    const bytes = await readOwned(owned, limits.requestBytes);
    const parsed = parser.safeParse(JSON.parse(bytes.toString('utf8')));
    return parsed.success ? parsed.data : 'it is not a request';
  } catch (error) {
    return messageOf(error);
  }
}

/** @throws Error if it is not a regular file of the agent’s own, or is larger */
async function readOwned({ folder, name, owner }: Owned, most: number): Promise<Buffer> {
  const file = await openPlainFileIn(folder, name);
  try {
    return await readAll(file, most, ({ uid, nlink }) => {
      if (uid !== owner || nlink !== 1) throw new Error('it does not belong to the agent');
    });
  } finally {
    await file.close();
  }
}

/** A folder in its place is removed if it is empty; its contents are not ours to walk through. */
async function remove(path: string): Promise<void> {
  await unlink(path).catch(() => rmdir(path).catch(() => undefined));
}
