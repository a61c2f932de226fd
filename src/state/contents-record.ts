/** What root knows of the contents of this machine’s systems (core/run/damage.ts); everybody may read it. */
import { join } from 'node:path';
import { NixmakerError } from '../core/errors.ts';
import { type ContentsRecord, contentsRecord, nothingRead } from '../core/run/damage.ts';
import { writeDurably } from './durable.ts';
import { readOwn } from './own.ts';
import { parseStored } from './stored.ts';

const fileIn = (folder: string) => join(folder, 'contents.json');

/** A damaged record is begun anew: all there was in it can be read from the store again. */
export async function readContentsRecord(folder: string): Promise<ContentsRecord> {
  const path = fileIn(folder);
  try {
    const text = await readOwn(path);
    return text === undefined ? nothingRead : parseStored(text, path, contentsRecord);
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'state-corrupt') return nothingRead;
    throw error;
  }
}

export const writeContentsRecord = (folder: string, record: ContentsRecord): Promise<void> =>
  writeDurably(fileIn(folder), JSON.stringify(record));
