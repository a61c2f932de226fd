/** Writing a bundle: members in order, to a temporary name beside the target, flushed, then renamed into place. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { type FileHandle, open, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { NixmakerError } from '../core/errors.ts';
import type { Member } from '../core/manifest.ts';
import { encodeHeader, paddingOf, trailerSize } from './ustar.ts';

/** A member's contents: bytes at hand, or a part of a file. */
export type Source = Uint8Array | { readonly path: string; readonly position?: number };

export interface SourcedMember {
  readonly member: Member;
  readonly source: Source;
}

export interface BundleParts {
  readonly manifestBytes: Uint8Array;
  readonly signatureBytes: Uint8Array;
  readonly members: readonly SourcedMember[];
}

/** The manifest's entry for bytes at hand. */
export function memberOf(name: string, bytes: Uint8Array): Member {
  return { name, size: bytes.length, sha256: createHash('sha256').update(bytes).digest('hex') };
}

/** The manifest's entry for a whole file, which is read once. */
export async function memberOfFile(name: string, path: string): Promise<Member> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of createReadStream(path, { highWaterMark: 1024 * 1024 })) {
    hash.update(chunk as Buffer);
    size += (chunk as Buffer).length;
  }
  return { name, size, sha256: hash.digest('hex') };
}

/**
 * @throws NixmakerError `io-error` where a source no longer is what its member says; the target is then untouched
 */
export async function writeBundle(target: string, parts: BundleParts): Promise<void> {
  await writeAtomically(target, async (out) => {
    await writeMember(out, memberOf('manifest.json', parts.manifestBytes), parts.manifestBytes);
    await writeMember(out, memberOf('manifest.sig', parts.signatureBytes), parts.signatureBytes);
    for (const { member, source } of parts.members) await writeMember(out, member, source);
    await out.writeFile(Buffer.alloc(trailerSize));
  });
}

/** Runs `fill` on a new file beside `target`, flushes it and its folder, and only then gives it its name. */
export async function writeAtomically(
  target: string,
  fill: (out: FileHandle) => Promise<void>,
): Promise<void> {
  const temporary = join(dirname(target), `.${basename(target)}.part`);
  await rm(temporary, { force: true });
  const out = await open(temporary, 'wx', 0o644);
  try {
    await fill(out);
    await out.sync();
    await out.close();
    await rename(temporary, target);
  } catch (error) {
    await out.close().catch(() => undefined);
    await rm(temporary, { force: true });
    throw error;
  }
  const folder = await open(dirname(target), 'r');
  await folder.sync().finally(() => folder.close());
}

async function writeMember(out: FileHandle, member: Member, source: Source): Promise<void> {
  await out.writeFile(encodeHeader(member.name, member.size));
  if (source instanceof Uint8Array) await out.writeFile(source);
  else await copyChecked(out, member, source);
  const padding = paddingOf(member.size);
  if (padding > 0) await out.writeFile(Buffer.alloc(padding));
}

async function copyChecked(
  out: FileHandle,
  member: Member,
  source: Exclude<Source, Uint8Array>,
): Promise<void> {
  if (member.size === 0) return;
  const hash = createHash('sha256');
  const start = source.position ?? 0;
  const stream = createReadStream(source.path, {
    start,
    end: start + member.size - 1,
    highWaterMark: 1024 * 1024,
  });
  for await (const chunk of stream) {
    hash.update(chunk as Buffer);
    await out.writeFile(chunk as Buffer);
  }
  if (hash.digest('hex') !== member.sha256) {
    throw new NixmakerError('io-error', `${source.path} changed while the bundle was written`);
  }
}
