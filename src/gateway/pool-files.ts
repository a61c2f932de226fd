/**
 * The files of a pool by their names in a URL. Every folder on the way is opened without following a link, relative to the one above and on
 * the same file system, for each request anew: a stick may come and go.
 */
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { listPool } from '../bundle/pool.ts';
import { encodeSequences, parsePoolPath, sequencesFile } from '../core/bundle/pool-paths.ts';
import { isMissing } from '../core/errno.ts';
import {
  isWrongKind,
  type OpenFolder,
  openForeign,
  openForeignIn,
  openPlainFileIn,
} from '../files/foreign.ts';
import type { ServedFile } from '../network/server.ts';

/** Undefined if there is none, whatever is in its place. */
export async function openPoolFile(root: string, path: string): Promise<ServedFile | undefined> {
  const names = parsePoolPath(path);
  if (names === undefined) return undefined;
  const [, , host = ''] = names;
  // Whoever filled the medium may have left it out.
  if (names.at(-1) === sequencesFile) return sequencesOf(root, host);
  const file = await openBelow(root, names).catch((error: unknown) => {
    if (isMissing(error) || isWrongKind(error)) return undefined;
    throw error;
  });
  if (file === undefined) return undefined;
  const { size } = await file.stat();
  return {
    size,
    // Named after what is in it.
    etag: names[1] === 'cache' ? `"${names.at(-1)}"` : undefined,
    stream: (start, end) =>
      file.createReadStream({ start, end: end - 1, highWaterMark: 256 * 1024, autoClose: false }),
    close: () => file.close(),
  };
}

async function sequencesOf(root: string, host: string): Promise<ServedFile | undefined> {
  const entries = await listPool(root, host);
  if (entries.length === 0) return undefined;
  const bytes = Buffer.from(encodeSequences(entries.map(({ sequence }) => sequence)));
  return {
    size: bytes.length,
    etag: undefined,
    stream: (start, end) => Readable.from([bytes.subarray(start, end)]),
    close: async () => undefined,
  };
}

async function openBelow(root: string, names: readonly string[]): Promise<FileHandle | undefined> {
  const opened: OpenFolder[] = [];
  try {
    let folder = await openForeign(root, 'follow');
    opened.push(folder);
    const { dev } = await folder.handle.stat();
    for (const name of names.slice(0, -1)) {
      folder = await openForeignIn(folder, name);
      opened.push(folder);
      // Of folders only: on an overlay, a file may have the device of the layer it is in.
      if ((await folder.handle.stat()).dev !== dev) return undefined;
    }
    return await openPlainFileIn(folder, names.at(-1) ?? '');
  } finally {
    for (const { handle } of opened) await handle.close();
  }
}
