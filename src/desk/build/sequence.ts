/** The next sequence of a host: greater than the last in the folder and than an explicit floor. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openIfThere } from '../../bundle/file.ts';
import { readHead } from '../../bundle/layout.ts';
import { ifMissing } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { encodeManifest, type ManifestInput } from '../../core/release/manifest.ts';
import { readManifest } from '../../signing/verify.ts';

/** The manifest of the bundle that stands in a host's folder; undefined where there is none. */
export async function readLastManifest(folder: string, host: string): Promise<ManifestInput | undefined> {
  try {
    const bytes = (await readTarHead(join(folder, `${host}.tar`))) ?? (await readClassicManifest(folder));
    if (bytes === undefined) return undefined;
    readManifest(bytes);
    return JSON.parse(bytes.toString('utf8')) as ManifestInput;
  } catch (error) {
    throw new NixmakerError('last-bundle-unreadable', `${folder}: ${messageOf(error)}`, { cause: error });
  }
}

async function readTarHead(path: string): Promise<Buffer | undefined> {
  const file = await openIfThere(path);
  if (file === undefined) return undefined;
  try {
    return (await readHead(file)).manifestBytes;
  } finally {
    await file.close();
  }
}

async function readClassicManifest(folder: string): Promise<Buffer | undefined> {
  return readFile(join(folder, 'manifest.json')).catch(ifMissing(undefined));
}

/**
 * The same contents keep their sequence, so that building twice gives the same bytes; anything else gets the next.
 * @param above `--sequence`: the result is greater than this
 */
export function nextSequence(
  input: Omit<ManifestInput, 'sequence'>,
  { last, above }: { last: ManifestInput | undefined; above: number },
): number {
  if (last === undefined) return above + 1;
  const same = encodeManifest({ ...input, sequence: last.sequence }) === encodeManifest(last);
  return same && last.sequence > above ? last.sequence : Math.max(last.sequence, above) + 1;
}
