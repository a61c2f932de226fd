/** Opening a bundle: head, authentication, layout, small members, in that order and no other. */

import { formatOf, type Manifest } from '../core/bundle/manifest.ts';
import { NixmakerError } from '../core/errors.ts';
import { type MemberReader, type OpenedBundle, openContents } from './contents.ts';
import type { BundleFile } from './file.ts';
import { type BundleHead, checkLayout, type PlacedMember, placeMembers, readHead } from './layout.ts';

/**
 * What turns the head's bytes into a manifest. The target passes signature verification, so that nothing of an
 * unverified manifest is ever used; `inspect` passes plain parsing.
 */
export type Authenticate<A extends { readonly manifest: Manifest }> = (head: BundleHead) => A;

export interface Authenticated<A> {
  readonly authentic: A;
  readonly head: BundleHead;
  /** Bytes of the whole bundle, as signed. */
  readonly totalSize: number;
}

/** The first half: everything up to knowing how large the bundle must be. */
export async function authenticateBundle<A extends { readonly manifest: Manifest }>(
  file: BundleFile,
  authenticate: Authenticate<A>,
): Promise<Authenticated<A>> {
  const head = await readHead(file);
  const authentic = authenticate(head);
  if (formatOf(authentic.manifest) !== 'bundle') {
    throw new NixmakerError('bundle-malformed', 'the manifest is that of a classic tarball');
  }
  return { authentic, head, totalSize: placeMembers(authentic.manifest, head.membersAt).totalSize };
}

/** A bundle that is one tar file: where in it each member lies. */
export interface OpenedTar extends OpenedBundle {
  readonly file: BundleFile;
  readonly placed: readonly PlacedMember[];
}

/** The second half: the layout and all small members. NARs are checked by `checkAllNars` and again when streamed. */
export async function openBundle<A extends { readonly manifest: Manifest }>(
  file: BundleFile,
  { authentic, head }: Authenticated<A>,
): Promise<OpenedTar> {
  const placed = (await checkLayout(file, authentic.manifest, head)).members;
  const positions = new Map(placed.map((m) => [m.name, m.position]));
  const reader: MemberReader = {
    readInto: ({ name }, buffer, position) => file.readInto(buffer, (positions.get(name) ?? 0) + position),
  };
  return { ...(await openContents(reader, authentic.manifest)), file, placed };
}
