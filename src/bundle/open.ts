/** Opening a bundle: head, authentication, what announces the rest, layout, in exactly this order. */

import { NixmakerError } from '../core/errors.ts';
import { pieceName } from '../core/release/contents-file.ts';
import { formatOf } from '../core/release/manifest.ts';
import type { OpenedBundle, PieceReader } from './contents.ts';
import type { BundleFile } from './file.ts';
import {
  type Announced,
  type Authentic,
  type BundleHead,
  checkLayout,
  readAnnouncements,
  readHead,
} from './layout.ts';
import { ReadWindow } from './read-window.ts';

/**
 * What turns the head's bytes into a manifest. The target passes signature verification, so that nothing of an
 * unverified manifest is ever used; `inspect` passes plain parsing.
 */
export type Authenticate<A extends Authentic> = (head: BundleHead) => A;

export interface Authenticated<A> {
  readonly authentic: A;
  readonly head: BundleHead;
}

/** The first step: manifest and signatures. */
export async function authenticateBundle<A extends Authentic>(
  file: BundleFile,
  authenticate: Authenticate<A>,
): Promise<Authenticated<A>> {
  const head = await readHead(file);
  const authentic = authenticate(head);
  if (formatOf(authentic.manifest) !== 'bundle')
    throw new NixmakerError('bundle-malformed', 'this is the manifest of a classic tarball');
  return { authentic, head };
}

/** A bundle that is one tar file: where in it each piece is. */
export interface OpenedTar extends OpenedBundle {
  readonly file: BundleFile;
  readonly positions: ReadonlyMap<string, number>;
}

/** The last step, once what announces the rest has been read. Pieces are checked by `checkAllPieces` and when used. */
export async function openAnnounced(file: BundleFile, announced: Announced): Promise<OpenedTar> {
  const { positions } = await checkLayout(file, announced);
  const window = new ReadWindow(file);
  const reader: PieceReader = {
    readInto: (piece, buffer, position) =>
      window.readInto(buffer, (positions.get(pieceName(piece)) ?? 0) + position),
  };
  return { ...announced.release, reader, file, positions };
}

/** Both steps after the first in one go. */
export const openBundle = async <A extends Authentic>(
  file: BundleFile,
  authenticated: Authenticated<A>,
): Promise<OpenedTar> => openAnnounced(file, await readAnnouncements(file, authenticated));
