/**
 * One piece of a pool from a server: resumed where it was cut off, never larger than announced, and under its name only once it has its
 * digest. A piece is named after its contents, so what is there counts whichever server it came from.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { mkdir, open, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { damaged } from '../../bundle/contents.ts';
import { partBytes, partName } from '../../bundle/parts.ts';
import { draftOf } from '../../bundle/pool.ts';
import { insteadOf } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import { encodeNix32 } from '../../core/nix32.ts';
import type { Clock } from '../../core/ports.ts';
import { type Piece, pieceName } from '../../core/release/contents-file.ts';
import type { Client } from '../../network/client.ts';
import { mayPass } from '../../network/failure.ts';

export interface Download {
  readonly client: Client;
  readonly clock: Pick<Clock, 'sleep'>;
  /** The pool’s `cache`, here. */
  readonly cache: string;
  readonly onBytes: (bytes: number) => void;
  /** Bytes of a part, as `put` splits a piece for FAT. */
  readonly largest?: number;
}

/** Where a part’s bytes come from and go to. */
interface Part {
  readonly name: string;
  readonly path: string;
  readonly size: number;
}

/** Tries for each file, and the first pause between two in milliseconds; each is twice as long as the one before. */
const tries = 5;
const firstPause = 500;

/** @throws NixmakerError `bundle-truncated`, `bundle-altered`, and as `Client.get` */
export async function fetchPiece(download: Download, piece: Piece): Promise<void> {
  const parts = partsOf(download, piece);
  await mkdir(dirname(parts[0]?.path ?? ''), { recursive: true });
  const hasBegun = (await Promise.all(parts.map(({ path }) => sizeOf(draft(path))))).some((size) => size > 0);
  await fetchParts(download, parts);
  if (await isWhole(parts, piece)) return publish(parts);
  await discard(parts);
  // What was there before may be to blame: once more, from the beginning.
  if (!hasBegun) throw damaged(piece);
  await fetchParts(download, parts);
  if (await isWhole(parts, piece)) return publish(parts);
  await discard(parts);
  throw damaged(piece);
}

function partsOf({ cache, largest = partBytes }: Download, piece: Piece): Part[] {
  const name = pieceName(piece);
  if (piece.size <= largest) return [{ name, path: join(cache, name), size: piece.size }];
  return Array.from({ length: Math.ceil(piece.size / largest) }, (_, i) => ({
    name: partName(name, i),
    path: partName(join(cache, name), i),
    size: Math.min(largest, piece.size - i * largest),
  }));
}

const draft = (path: string) => join(dirname(path), draftOf(basename(path)));
/** What the server called the file of which a part is here. */
const tagOf = (path: string) => join(dirname(path), `.${basename(path)}.etag`);

const sizeOf = async (path: string): Promise<number> =>
  (await stat(path).catch(insteadOf(['ENOENT'], undefined)))?.size ?? 0;

async function fetchParts(download: Download, parts: readonly Part[]): Promise<void> {
  for (const part of parts) await fetchWhole(download, part);
}

async function fetchWhole(download: Download, part: Part): Promise<void> {
  for (let left = tries, pause = firstPause; ; left -= 1, pause *= 2) {
    try {
      return await fetchRest(download, part);
    } catch (error) {
      if (left === 1 || !mayPass(error)) throw error;
      await download.clock.sleep(pause);
    }
  }
}

async function fetchRest({ client, onBytes }: Download, { name, path, size }: Part): Promise<void> {
  const there = await sizeOf(draft(path));
  const from = there > size ? 0 : there;
  if (from === size) return;
  const etag =
    from === 0 ? undefined : await readFile(tagOf(path), 'latin1').catch(insteadOf(['ENOENT'], undefined));
  const answer = await client.get(`nixmaker/cache/${name}`, size, { from, etag });
  if (answer === undefined) throw new NixmakerError('bundle-truncated', `${client.name} has no ${name}`);
  const { O_WRONLY, O_CREAT, O_NOFOLLOW } = constants;
  const out = await open(draft(path), O_WRONLY | O_CREAT | O_NOFOLLOW, 0o644);
  let at = answer.from;
  try {
    if (answer.etag === undefined) await rm(tagOf(path), { force: true });
    else await writeFile(tagOf(path), answer.etag);
    await out.truncate(at);
    for await (const chunk of answer.body) {
      await out.write(chunk, 0, chunk.length, at);
      at += chunk.length;
      onBytes(chunk.length);
    }
  } finally {
    answer.discard();
    await out.close();
  }
  if (at < size)
    throw new NixmakerError('source-unreachable', `${client.name}: ${name} ended at byte ${at} of ${size}`);
}

async function isWhole(parts: readonly Part[], piece: Piece): Promise<boolean> {
  const hash = createHash('sha256');
  for (const { path } of parts) {
    const file = await open(draft(path));
    for await (const chunk of file.createReadStream({ highWaterMark: 256 * 1024 }))
      hash.update(chunk as Buffer);
  }
  return encodeNix32(hash.digest()) === piece.digest;
}

/** The first name last: until then, nobody finds any of them. */
async function publish(parts: readonly Part[]): Promise<void> {
  for (const { path } of parts.toReversed()) {
    await rm(tagOf(path), { force: true });
    await rename(draft(path), path);
  }
}

async function discard(parts: readonly Part[]): Promise<void> {
  for (const { path } of parts)
    for (const name of [draft(path), tagOf(path)]) await rm(name, { force: true });
}
