/** Root’s answers to the agent, one file each. */
import { unlink } from 'node:fs/promises';
import { join } from 'node:path';
import type * as z from '../core/zod.ts';
import { namesIn } from '../files/read.ts';
import { writeDurably } from './durable.ts';
import { readOwn } from './own.ts';
import { parseStored } from './stored.ts';

/** Before a new one is written, for only the newest is kept: whoever asked for the others has long read them, or is gone. */
export async function clearAnswers(folder: string): Promise<void> {
  for (const name of await namesIn(folder)) await unlink(join(folder, name));
}

const answerFile = (folder: string, transaction: string) => join(folder, `${transaction}.json`);

export const writeAnswer = (folder: string, transaction: string, answer: object): Promise<void> =>
  writeDurably(answerFile(folder, transaction), JSON.stringify(answer));

/** Undefined while there is none. @throws NixmakerError `state-corrupt` if it is damaged */
export async function readAnswer<T>(
  folder: string,
  transaction: string,
  parser: z.ZodMiniType<T>,
): Promise<T | undefined> {
  const path = answerFile(folder, transaction);
  const text = await readOwn(path);
  return text === undefined ? undefined : parseStored(text, path, parser);
}
