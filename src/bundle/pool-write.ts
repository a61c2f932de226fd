/** Writing into a pool. Nothing is overwritten that a manifest in the pool relies on, and nothing of anybody else's. */
import { mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Member } from '../core/bundle/manifest.ts';
import { type OpenedBundle, sha256Of, streamMember } from './contents.ts';
import { openParts, partBytes, partName, sizeOfParts } from './parts.ts';

/** Whether what lies at `path` has the member’s size: its contents are still to be checked. */
export async function hasSize(path: string, { size }: Member): Promise<boolean> {
  return (await sizeOfParts(path)) === size;
}

/** Reads what lies at `path` and compares its digest. */
export async function hasContents(
  path: string,
  member: Member,
  onBytes?: (bytes: number) => void,
): Promise<boolean> {
  if (!(await hasSize(path, member))) return false;
  const parts = await openParts(path);
  if (parts === undefined) return false;
  try {
    const reader = {
      readInto: (_: Member, buffer: Buffer, position: number) => parts.readInto(buffer, position),
    };
    return (await sha256Of(reader, member, { onBytes })) === member.sha256;
  } finally {
    await parts.close();
  }
}

export interface WriteOptions {
  /** Bytes of the largest file; what is larger is split. */
  readonly largest?: number;
  readonly onBytes?: (bytes: number) => void;
}

/**
 * Writes a member's bytes to `path`, in parts where it is larger than a file may be. Whole or not at all is seen to by
 * the manifest, which is written last.
 * @returns the files written
 * @throws NixmakerError `bundle-altered` where the bundle no longer holds what was signed
 */
export async function writeMemberFile(
  path: string,
  { bundle, member }: { bundle: OpenedBundle; member: Member },
  { largest = partBytes, onBytes }: WriteOptions = {},
): Promise<string[]> {
  await mkdir(dirname(path), { recursive: true });
  await removeParts(path);
  const whole = member.size <= largest;
  const files = Array.from({ length: whole ? 1 : Math.ceil(member.size / largest) }, (_, i) =>
    whole ? path : partName(path, i),
  );
  let written = 0;
  let out = await open(files[0] as string, 'w', 0o644);
  try {
    for await (const chunk of streamMember(bundle, member)) {
      for (let rest = chunk; rest.length > 0; ) {
        const room = largest - (written % largest);
        if (written > 0 && room === largest) {
          await out.close();
          out = await open(files[written / largest] as string, 'w', 0o644);
        }
        const piece = rest.subarray(0, room);
        await out.writeFile(piece);
        written += piece.length;
        onBytes?.(piece.length);
        rest = rest.subarray(piece.length);
      }
    }
  } finally {
    await out.close();
  }
  return files;
}

/** What an earlier, interrupted writing may have left: the whole where there are parts now, or the other way round. */
async function removeParts(path: string): Promise<void> {
  await rm(path, { force: true });
  for (let i = 0; (await sizeOfParts(partName(path, i))) !== undefined; i++) await rm(partName(path, i));
}

export interface EntryFiles {
  readonly manifestBytes: Uint8Array;
  readonly signatureBytes: Uint8Array;
  readonly meta: Uint8Array;
  /** Narinfos of which the cache has other bytes under the same name. */
  readonly beside: ReadonlyMap<string, Uint8Array>;
}

/** Lays a host's files into a folder that nobody looks into. @returns the folder */
export async function prepareEntry(folder: string, files: EntryFiles): Promise<string> {
  const temporary = join(dirname(folder), `.${basename(folder)}.part`);
  await rm(temporary, { recursive: true, force: true });
  await mkdir(temporary, { recursive: true });
  await writeFile(join(temporary, 'manifest.json'), files.manifestBytes);
  await writeFile(join(temporary, 'manifest.sig'), files.signatureBytes);
  await writeFile(join(temporary, 'meta'), files.meta);
  for (const [name, bytes] of files.beside) await writeFile(join(temporary, name), bytes);
  return temporary;
}

/** Gives a prepared folder its name: from then on a target may take it. */
export async function publishEntry(temporary: string, folder: string): Promise<void> {
  // One without a manifest, or FAT would refuse to rename over it.
  await rm(folder, { recursive: true, force: true });
  await rename(temporary, folder);
}

/** The same manifest is there already: what differs or is missing is put right, and the entry counts all the while. */
export async function completeEntry(folder: string, files: EntryFiles): Promise<void> {
  const wanted = new Map<string, Uint8Array>([
    ['manifest.sig', files.signatureBytes],
    ['meta', files.meta],
    ...files.beside,
  ]);
  for (const [name, bytes] of wanted) {
    const path = join(folder, name);
    const there = await readFile(path).catch(() => undefined);
    if (there?.equals(bytes) === true) continue;
    const temporary = join(folder, `.${name}.part`);
    await writeFile(temporary, bytes);
    await rename(temporary, path);
  }
}
