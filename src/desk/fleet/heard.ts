/**
 * Records by file name alone that a receipt with that number was here. The name means the same at every desk, so copying one desk’s
 * folder over another’s, with git or cp, loses none. Threat: an older receipt copied over a newer one of the same name, unnoticed.
 */
import { createHash } from 'node:crypto';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { namesIn, readIfThere } from '../../files/read.ts';
import type { PublicKey } from '../../signing/nix-key.ts';
import { heardOf } from './folder.ts';

/** Numbers belong to a key. */
const markOf = (key: PublicKey): string =>
  createHash('sha256').update(key.material).digest('hex').slice(0, 16);

async function numbersHeard(folder: string, key: PublicKey): Promise<Map<number, string>> {
  const mark = markOf(key);
  const found = (await namesIn(folder, 'ENOTDIR')).flatMap((name) => {
    const [, number, whose] = /^([0-9]{1,16})-([0-9a-f]{16})$/.exec(name) ?? [];
    return whose === mark ? [[Number(number), name] as const] : [];
  });
  return new Map(found);
}

/** The highest number of any receipt by this key that was ever here; 0 if none is known. */
export async function newestHeard(directory: string, host: string, key: PublicKey): Promise<number> {
  return Math.max(0, ...(await numbersHeard(heardOf(directory, host), key)).keys());
}

/** Empty, too: a receipt of this key contradicted its numbers, and none with a higher number has come since. */
const wentBackOf = (folder: string, key: PublicKey) => join(folder, `went-back-${markOf(key)}`);

export const hasGoneBack = async (directory: string, host: string, key: PublicKey): Promise<boolean> =>
  (await readIfThere(wentBackOf(heardOf(directory, host), key))) !== undefined;

export async function noteGoneBack(directory: string, host: string, key: PublicKey): Promise<void> {
  const folder = heardOf(directory, host);
  await mkdir(folder, { recursive: true });
  await writeFile(wentBackOf(folder, key), '');
}

export async function noteHeard(
  directory: string,
  { host, key, number }: { readonly host: string; readonly key: PublicKey; readonly number: number },
): Promise<void> {
  const folder = heardOf(directory, host);
  const known = await numbersHeard(folder, key);
  if (Math.max(0, ...known.keys()) < number) {
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${number}-${markOf(key)}`), '');
    await rm(wentBackOf(folder, key), { force: true });
  }
  for (const [lower, name] of known) if (lower < number) await rm(join(folder, name), { force: true });
}
