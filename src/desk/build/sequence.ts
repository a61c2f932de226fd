/** A host’s next sequence: greater than the last one in the folder and than an explicit floor. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openIfThere } from '../../bundle/file.ts';
import { readHead } from '../../bundle/layout.ts';
import { ifMissing } from '../../core/errno.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { encodeManifest, type ManifestInput } from '../../core/release/manifest.ts';
import { readManifest } from '../../signing/verify.ts';

/** In a host’s folder: manifest, signatures and index of a release that did not go into a bundle. */
export const recordFolder = 'release';

export interface LastRelease {
  readonly manifest: ManifestInput;
  /** The file that holds it; undefined if it went elsewhere. */
  readonly file: string | undefined;
}

/** The newest release in a host's folder: as a bundle, as a classic pair, or as a record of what went elsewhere. */
export async function readLast(folder: string, host: string): Promise<LastRelease | undefined> {
  try {
    const tar = join(folder, `${host}.tar`);
    const found = [
      { manifest: read(await readTarHead(tar)), file: tar },
      { manifest: read(await readManifestFile(folder)), file: `${tar}.gz` },
      { manifest: read(await readManifestFile(join(folder, recordFolder))), file: undefined },
    ].flatMap(({ manifest, file }) => (manifest === undefined ? [] : [{ manifest, file }]));
    return found.sort((a, b) => b.manifest.sequence - a.manifest.sequence)[0];
  } catch (error) {
    throw new NixmakerError('last-bundle-unreadable', `${folder}: ${messageOf(error)}`, { cause: error });
  }
}

function read(bytes: Buffer | undefined): ManifestInput | undefined {
  if (bytes === undefined) return undefined;
  readManifest(bytes);
  return JSON.parse(bytes.toString('utf8')) as ManifestInput;
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

async function readManifestFile(folder: string): Promise<Buffer | undefined> {
  return readFile(join(folder, 'manifest.json')).catch(ifMissing(undefined));
}

/**
 * The same contents keep their sequence, so building twice gives the same bytes; anything else gets the next one.
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
