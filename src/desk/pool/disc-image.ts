/** A folder as an ISO 9660 image to be written to a disc, by whichever of the usual programs this desk has. */
import { rm, stat } from 'node:fs/promises';
import { complaintOf } from '../../core/complaint.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { ProcessRunner } from '../../core/ports.ts';
import { unlikeSizes } from '../../core/size.ts';

const programs = [
  { name: 'xorriso', before: ['-as', 'mkisofs'] },
  { name: 'genisoimage', before: [] },
] as const;

export type ImageMaker = (typeof programs)[number];

/** The first that is here; undefined if none is. */
export async function findImageMaker(run: ProcessRunner): Promise<ImageMaker | undefined> {
  for (const program of programs) {
    const { startError } = await run(program.name, ['--version'], { timeout: 30_000 });
    if (startError === undefined) return program;
  }
  return undefined;
}

export interface Disc {
  readonly folder: string;
  readonly image: string;
  /** The volume’s name, which a person sees when the disc is in a drive. */
  readonly label: string;
  /** What the disc holds. Bytes. */
  readonly size: number;
}

/** With Rock Ridge, so that our long names survive. @throws NixmakerError `io-error`, `medium-full` */
export async function makeImage(
  run: ProcessRunner,
  { name, before }: ImageMaker,
  { folder, image, label, size }: Disc,
): Promise<void> {
  const made = await run(name, [...before, '-quiet', '-R', '-no-pad', '-V', label, '-o', image, folder]);
  if (made.exitCode !== 0) {
    await rm(image, { force: true });
    throw new NixmakerError('io-error', `${name} made no image: ${complaintOf(made, 'it did not say why')}`);
  }
  const { size: bytes } = await stat(image);
  if (bytes <= size) return;
  await rm(image);
  const [is, most] = unlikeSizes(bytes, size);
  throw new NixmakerError('medium-full', `the image ${image} would have ${is}; a disc holds ${most}`);
}
