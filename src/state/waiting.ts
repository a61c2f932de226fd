/**
 * Which of the waiting requests get their turn.
 *
 * Threat: a compromised agent writes as many as its folder holds. Whoever asks does one thing at a time and waits for it, so
 * what counts is among the newest; the others go unread, or one good request would wait for a hundred thousand bogus ones. No more
 * names are in memory than may wait.
 */
import type { Dirent } from 'node:fs';
import { lstat, opendir } from 'node:fs/promises';
import { isMissing } from '../core/errno.ts';
import type { OpenFolder } from '../files/foreign.ts';
import { outOfSight } from './put-aside.ts';

/** Requests of one kind that may wait; the agent has one or two. */
export const mostWaiting = 256;
/** Names examined before the newest of them get their turn: the rest is examined the next time. */
const mostListed = 100_000;

export interface Waiting {
  /** As they came. Bytes, because a name need not be text, and systemd sees it all the same. */
  readonly newest: readonly Buffer[];
  /** How many were removed unread. */
  readonly passedOver: number;
  /** One of those that can be neither removed nor renamed. */
  readonly stuck: Buffer | undefined;
}

const extension = Buffer.from('.json');

interface Found {
  readonly name: Buffer;
  /** When the kernel last recorded a change of it, renaming included; nobody can set it. Milliseconds. */
  readonly at: number;
}

/** The newest of what waits, at most so many. Anything beyond what may wait is put out of sight. */
export async function findWaiting({ path }: Pick<OpenFolder, 'path'>, most: number): Promise<Waiting> {
  let found: Found[] = [];
  let passedOver = 0;
  let stuck: Buffer | undefined;
  const passOver = async (older: readonly Found[]) => {
    for (const { name } of older) {
      if (await outOfSight(path, name)) passedOver += 1;
      else stuck ??= name;
    }
  };
  let listed = 0;
  for await (const name of requestNames(path)) {
    const at = await changedAt(path, name);
    if (at !== undefined) found.push({ name, at });
    listed += 1;
    if (listed === mostListed) break;
    if (found.length < 2 * mostWaiting) continue;
    found = found.sort(byAge);
    await passOver(found.slice(mostWaiting));
    found = found.slice(0, mostWaiting);
  }
  found.sort(byAge);
  await passOver(found.slice(mostWaiting));
  return {
    newest: found
      .slice(0, Math.min(most, mostWaiting))
      .map(({ name }) => name)
      .reverse(),
    passedOver,
    stuck,
  };
}

/** Whether anything waits, however much it is. */
export async function isWaiting({ path }: Pick<OpenFolder, 'path'>): Promise<boolean> {
  for await (const _ of requestNames(path)) return true;
  return false;
}

/** Any other name is still being written (write-file-atomic renames), or not ours. */
async function* requestNames(path: string): AsyncGenerator<Buffer, void, void> {
  // Its types don’t know names as bytes.
  const options = { encoding: 'buffer', bufferSize: 1024 } as unknown as { bufferSize: number };
  for await (const entry of await opendir(path, options)) {
    const { name } = entry as unknown as Dirent<Buffer>;
    if (name.subarray(-extension.length).equals(extension)) yield name;
  }
}

/** Undefined if it is gone by now. What gives no answer counts as the oldest, and blocks no other. */
async function changedAt(path: string, name: Buffer): Promise<number | undefined> {
  const at = Buffer.concat([Buffer.from(`${path}/`), name]);
  return lstat(at).then(
    ({ ctimeMs }) => ctimeMs,
    (error: unknown) => (isMissing(error) ? undefined : 0),
  );
}

/** Newest first. At the same moment, names decide, so that the order is stable. */
const byAge = (a: Found, b: Found) => b.at - a.at || Buffer.compare(b.name, a.name);
