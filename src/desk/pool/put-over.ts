/** `put --split` and `put --size`: which media there are, and each of them put in turn. */
import { rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { poolFolder } from '../../core/bundle/pool-folder.ts';
import { insteadOf } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import { makeFolders } from '../../files/folder.ts';
import { namesIn } from '../../files/read.ts';
import { runProgram } from '../../process/run.ts';
import { findImageMaker, makeImage } from './disc-image.ts';
import type { PartItem } from './put-item.ts';
import type { PutResult } from './put-options.ts';
import { alikeMedia, planSplit, theseMedia } from './split.ts';

export interface SplitFlags {
  readonly split: readonly string[];
  readonly size?: string;
}

/** One medium of several. */
export interface PutPart {
  readonly part: number;
  readonly of: number;
  /** The medium, the folder or the image. */
  readonly place: string;
}

export interface PutOver {
  readonly result: PutResult;
  readonly parts: readonly PutPart[];
  /** What a person should know. */
  readonly note: string | undefined;
}

/** Puts one part. @param partOf what it carries of a release, by the digest of its manifest */
type PutPartOn = (medium: string, partOf: (digest: string) => PartItem | undefined) => Promise<PutResult>;

/** @throws NixmakerError `usage`, `medium-full` */
export async function putOver(
  { medium, bundles, flags }: { medium: string; bundles: readonly string[]; flags: SplitFlags },
  putOn: PutPartOn,
): Promise<PutOver> {
  const { split, size } = flags;
  if (split.length > 0 && size !== undefined)
    throw new NixmakerError('usage', '--split names the media, --size makes new ones: pass one of them');
  return size === undefined
    ? putOnThese([medium, ...split], bundles, putOn)
    : putOnNew({ folder: medium, size: bytesOf(size) }, bundles, putOn);
}

async function putOnThese(
  media: readonly string[],
  bundles: readonly string[],
  putOn: PutPartOn,
): Promise<PutOver> {
  if (new Set(media).size < media.length) throw new NixmakerError('usage', 'a medium is named twice');
  const { of, partItem } = await planSplit(bundles, await theseMedia(media, bundles));
  const made: PutResult[] = [];
  const parts: PutPart[] = [];
  for (const [i, place] of media.slice(0, of).entries()) {
    made.push(await putOn(place, (digest) => partItem(i + 1, digest)));
    parts.push({ part: i + 1, of, place });
  }
  const spared = media.slice(of);
  const note = spared.length === 0 ? undefined : `Not needed: ${spared.join(', ')}`;
  return { result: all(made), parts, note };
}

async function putOnNew(
  { folder, size }: { readonly folder: string; readonly size: number },
  bundles: readonly string[],
  putOn: PutPartOn,
): Promise<PutOver> {
  const { of, partItem } = await planSplit(bundles, alikeMedia(size));
  const placeOf = (part: number) => join(folder, `part-${part}`);
  for (let part = 1; part <= of; part++) await requireOurs(placeOf(part));
  const maker = await findImageMaker(runProgram);
  const made: PutResult[] = [];
  const parts: PutPart[] = [];
  for (let part = 1; part <= of; part++) {
    const place = placeOf(part);
    // What an earlier split left there belongs to another set.
    await rm(place, { recursive: true, force: true });
    await makeFolders(place);
    made.push(await putOn(place, (digest) => partItem(part, digest)));
    if (maker === undefined) {
      parts.push({ part, of, place });
      continue;
    }
    const image = `${place}.iso`;
    await makeImage(runProgram, maker, { folder: place, image, label: `NIXMAKER_${part}_OF_${of}`, size });
    await rm(place, { recursive: true });
    parts.push({ part, of, place: image });
  }
  const note =
    maker === undefined
      ? 'Neither xorriso nor genisoimage is here, so these are folders: write each to a disc of its own.'
      : `Images made with ${maker.name}: write each to a disc of its own.`;
  return { result: all(made), parts, note };
}

/** Threat: a person’s own folder happens to have this name, and would be deleted. @throws NixmakerError `usage` */
async function requireOurs(place: string): Promise<void> {
  const names = await namesIn(place).catch(insteadOf(['ENOTDIR'], [basename(place)]));
  const theirs = names.find((name) => name !== poolFolder);
  if (theirs === undefined) return;
  throw new NixmakerError(
    'usage',
    `${place} is no part of an earlier split: it has “${theirs}”; name a folder without it`,
  );
}

const all = (made: readonly PutResult[]): PutResult => ({
  hosts: made.flatMap(({ hosts }) => hosts),
  pruned: made.reduce((sum, { pruned }) => sum + pruned, 0),
  collected: made.reduce((sum, { collected }) => sum + collected, 0),
  notices: [...new Set(made.flatMap(({ notices }) => notices))],
});

const units: Readonly<Record<string, number>> = { '': 1, k: 1e3, m: 1e6, g: 1e9, t: 1e12 };

/** As printed on discs and sticks: a kilobyte has 1000 bytes. @throws NixmakerError `usage` */
export function bytesOf(text: string): number {
  const [, number = '', unit = ''] = /^([0-9]+(?:\.[0-9]+)?)([kmgt]?)b?$/i.exec(text) ?? [];
  const bytes = Math.floor(Number(number) * (units[unit.toLowerCase()] ?? Number.NaN));
  if (number === '' || !Number.isSafeInteger(bytes) || bytes < 1)
    throw new NixmakerError('usage', `--size “${text}” is not a size, such as 700M or 4.7G`);
  return bytes;
}
