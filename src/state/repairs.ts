/** Root’s answers when the agent has brought what damaged paths are to be replaced by. What was repaired is in the record. */
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import * as z from '../core/zod.ts';
import { clearAnswers, readAnswer, writeAnswer } from './answers.ts';

const answer = z.strictObject({
  schema: z.literal(1),
  /** Why root has done nothing. */
  refusal: z.optional(z.string().check(z.maxLength(limits.requestBytes))),
});

export type RepairAnswer = Pick<z.infer<typeof answer>, 'refusal'>;

const answersFolder = (activationDirectory: string) => join(activationDirectory, 'repairs');

export async function writeRepairAnswer(
  activationDirectory: string,
  transaction: string,
  given: RepairAnswer,
): Promise<void> {
  const folder = answersFolder(activationDirectory);
  await clearAnswers(folder);
  await writeAnswer(folder, transaction, { schema: 1, ...given });
}

/** Undefined while there is none. @throws NixmakerError `state-corrupt` if it is damaged */
export const readRepairAnswer = (
  activationDirectory: string,
  transaction: string,
): Promise<RepairAnswer | undefined> => readAnswer(answersFolder(activationDirectory), transaction, answer);
