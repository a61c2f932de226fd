/** What root has freed: its answer to an agent that ran out of room, and the last commit after which it tidied up. */
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import { type Freed, freedParser } from '../core/run/freed.ts';
import * as z from '../core/zod.ts';
import { clearAnswers, readAnswer, writeAnswer } from './answers.ts';
import { writeDurably } from './durable.ts';
import { readOwn } from './own.ts';
import { parseStored } from './stored.ts';

const tidied = z.strictObject({
  schema: z.literal(1),
  /** The run whose commit it followed. */
  transaction: z.string().check(z.maxLength(64)),
  at: z.string().check(z.maxLength(64)),
  freed: freedParser,
});

export type Tidied = z.infer<typeof tidied>;

const tidiedFile = (folder: string) => join(folder, 'tidied.json');

export const writeTidied = (folder: string, value: Tidied): Promise<void> =>
  writeDurably(tidiedFile(folder), JSON.stringify(value));

/** Undefined if there was none yet. @throws NixmakerError `state-corrupt` if it is damaged */
export async function readTidied(folder: string): Promise<Tidied | undefined> {
  const path = tidiedFile(folder);
  const text = await readOwn(path);
  return text === undefined ? undefined : parseStored(text, path, tidied);
}

const answer = z.strictObject({
  schema: z.literal(1),
  freed: z.optional(freedParser),
  /** Why root has done nothing. */
  refusal: z.optional(z.string().check(z.maxLength(limits.requestBytes))),
});

/** What was freed, or why nothing was tried. */
export type RoomAnswer = { readonly freed: Freed } | { readonly refusal: string };

const answersFolder = (activationDirectory: string) => join(activationDirectory, 'rooms');

export async function writeRoomAnswer(
  activationDirectory: string,
  transaction: string,
  given: RoomAnswer,
): Promise<void> {
  const folder = answersFolder(activationDirectory);
  await clearAnswers(folder);
  await writeAnswer(folder, transaction, { schema: 1, ...given });
}

/** Undefined while there is none. @throws NixmakerError `state-corrupt` if it is damaged */
export async function readRoomAnswer(
  activationDirectory: string,
  transaction: string,
): Promise<RoomAnswer | undefined> {
  const found = await readAnswer(answersFolder(activationDirectory), transaction, answer);
  if (found === undefined) return undefined;
  const { freed, refusal } = found;
  return freed === undefined ? { refusal: refusal ?? 'root does not say why' } : { freed };
}
