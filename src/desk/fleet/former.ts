/** A host’s replaced installations: a machine that was reinstalled has a new key, and numbers from 1. */
import { mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { ifMissing } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import { isHostName } from '../../core/schema.ts';
import * as z from '../../core/zod.ts';
import type { FolderNow } from '../../files/foreign-now.ts';
import { namesIn, readIfThere } from '../../files/read.ts';
import { writeWhole } from '../../files/write.ts';
import { type PublicKey, parsePublicKey } from '../../signing/nix-key.ts';
import { formerOf, keyFileOf, readHostKey, receiptsOf } from './folder.ts';
import { eachHostOn } from './media-receipts.ts';
import { readReceiptText, seal, signingKeyOf } from './receipt-file.ts';

const former = z.strictObject({
  schema: z.literal(1),
  at: z.string().check(z.maxLength(64)),
  reason: z.string().check(z.maxLength(1000)),
  /** The key trusted until then. */
  key: z.string().check(z.maxLength(512)),
});

export type FormerInstallation = Omit<z.infer<typeof former>, 'schema'>;

export interface Replaced extends FormerInstallation {
  readonly host: string;
  readonly newKey: string;
  /** Where its receipts are now. */
  readonly folder: string;
}

/** Oldest first. Unreadable ones are left out: a key not known to be former is refused anyway, just in other words. */
export async function readFormer(directory: string, host: string): Promise<FormerInstallation[]> {
  const found: FormerInstallation[] = [];
  for (const time of (await namesIn(formerOf(directory, host), 'ENOTDIR')).sort()) {
    const text = await readIfThere(join(formerOf(directory, host), time, 'replaced.json')).catch(
      () => undefined,
    );
    const parsed = former.safeParse(asJson(text));
    if (parsed.success) found.push({ at: parsed.data.at, reason: parsed.data.reason, key: parsed.data.key });
  }
  return found;
}

function asJson(text = ''): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What makes two keys the same, whatever their names. */
const materialsOf = (installations: readonly FormerInstallation[]): ReadonlySet<string> =>
  new Set(
    installations.flatMap(({ key }) => {
      try {
        return [parsePublicKey(key).material];
      } catch {
        return [];
      }
    }),
  );

/** Whose signature counts for a host. */
export interface HostKeys {
  /** The trusted key; undefined if none is kept, or the kept one was replaced. */
  readonly present: PublicKey | undefined;
  /** Keys that were replaced, by their material. */
  readonly former: ReadonlySet<string>;
  /** The kept key is one that was replaced: the folder of a desk that did not know was copied over this one. */
  readonly isReplaced: boolean;
}

export const noKeys: HostKeys = { present: undefined, former: new Set(), isReplaced: false };

/** @throws NixmakerError `key-malformed` */
export async function readHostKeys(directory: string, host: string): Promise<HostKeys> {
  const former = materialsOf(await readFormer(directory, host));
  const kept = await readHostKey(directory, host);
  const isReplaced = kept !== undefined && former.has(kept.material);
  return { present: isReplaced ? undefined : kept, former, isReplaced };
}

export interface ReplaceOptions {
  readonly media: readonly string[];
  readonly directory: string;
  readonly host: string;
  readonly reason: string;
  readonly now: Date;
}

/**
 * Trusts the one new key that signs the host’s receipts on the media, and sets apart what the former key signed.
 * @throws NixmakerError `usage` if there is no such key, or more than one: a person has to say which
 */
export async function replaceInstallation(options: ReplaceOptions): Promise<Replaced> {
  const { directory, host, reason, now } = options;
  if (!isHostName(host)) throw new NixmakerError('host-name-unusable', `“${host}”`);
  // Replaced keys too: if interrupted below, this is how it continues.
  const present = await readHostKey(directory, host);
  if (present === undefined)
    throw new NixmakerError(
      'usage',
      `${host} is not known here, so there is nothing to replace; use --enrol`,
    );
  const keys = await newKeysOn(options, present.material);
  const [newKey, ...others] = keys;
  if (newKey === undefined)
    throw new NixmakerError('usage', `no receipt from ${host} there is signed by a new key`);
  if (others.length > 0)
    throw new NixmakerError(
      'usage',
      `receipts from ${host} there are signed by ${keys.length} new keys (${keys.slice(0, 5).join(', ')}); remove those that are not from this machine`,
    );
  const key = `${present.name}:${present.material}`;
  const at = now.toISOString();
  const folder = join(formerOf(directory, host), at.replace(/[:.]/g, ''));
  await mkdir(folder, { recursive: true });
  await writeWhole(
    join(folder, 'replaced.json'),
    `${JSON.stringify({ schema: 1, at, reason, key } satisfies z.infer<typeof former>)}\n`,
  );
  // If interrupted here, the former key is still trusted: running the same command again does the rest.
  await rename(receiptsOf(directory, host), join(folder, 'receipts')).catch(ifMissing(undefined));
  await writeWhole(keyFileOf(directory, host), `${newKey}\n`);
  return { host, at, reason, key, newKey, folder };
}

async function newKeysOn(
  { media, directory, host }: ReplaceOptions,
  present: string,
): Promise<readonly string[]> {
  const known = new Set([present, ...materialsOf(await readFormer(directory, host))]);
  const keys = new Map<string, string>();
  for (const medium of media)
    await eachHostOn(medium, async (found) => {
      if (found.host !== host) return;
      for (const name of found.names) {
        const signer = await signerOf({ path: found.folder }, name);
        if (signer !== undefined && !known.has(signer.key.material))
          keys.set(signer.key.material, signer.text);
      }
    });
  return [...keys.values()];
}

async function signerOf(folder: FolderNow, name: string): Promise<ReturnType<typeof signingKeyOf>> {
  try {
    return signingKeyOf(seal(await readReceiptText(folder, name)));
  } catch {
    return undefined;
  }
}
