/** Folders: made so that they survive a power cut, and held open so that nobody can put another in their place. */
import { constants } from 'node:fs';
import { type FileHandle, mkdir, open } from 'node:fs/promises';
import { dirname } from 'node:path';

/** Flushes what a folder lists: without that a new or renamed file in it can be lost. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r');
  await folder.sync().finally(() => folder.close());
}

/** Makes it and what is missing above it; they are on disk when this returns. */
export async function makeFolder(path: string): Promise<void> {
  const first = await mkdir(path, { recursive: true, mode: 0o755 });
  if (first !== undefined) await syncFolder(dirname(first));
}

export interface OpenFolder {
  /** By its open descriptor (proc_pid_fd(5)): it stays the same folder whatever becomes of its name. */
  readonly path: string;
  readonly handle: FileHandle;
}

/**
 * Threat: whoever may write above a folder may put a link in its place. So a link is not followed, unless the place is one
 * that was chosen by us, and all names in the folder are to be taken relative to the path that is returned.
 */
export async function openFolder(
  path: string,
  { followLink = false }: { readonly followLink?: boolean } = {},
): Promise<OpenFolder> {
  const flags = constants.O_RDONLY | constants.O_DIRECTORY;
  const handle = await open(path, followLink ? flags : flags | constants.O_NOFOLLOW);
  return { path: `/proc/self/fd/${handle.fd}`, handle };
}
