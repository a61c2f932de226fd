/** What root tells and asks whoever sits at the screen: small files in its own runtime folder, which anybody may read. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '../core/limits.ts';
import {
  type ApprovalAnswer,
  type ApprovalQuestion,
  approvalAnswer,
  approvalQuestion,
  type MediumWord,
  mediumWord,
} from '../core/run/screen.ts';
import type * as z from '../core/zod.ts';
import { makeFolder } from '../files/folder.ts';
import { readForeign } from '../files/foreign.ts';
import { writeBeside } from '../files/write.ts';

const names = { word: 'medium.json', question: 'question.json', answer: 'answer.json' } as const;

/** The files to watch for changes. @param runtimeDirectory root’s (machine/machine.ts) */
export const screenFiles = (runtimeDirectory: string): string[] =>
  [names.word, names.question].map((name) => join(runtimeDirectory, name));

export const answerFile = (runtimeDirectory: string): string => join(runtimeDirectory, names.answer);

async function write(runtimeDirectory: string, name: string, value: object): Promise<void> {
  await makeFolder(runtimeDirectory);
  await writeBeside(join(runtimeDirectory, name), (out) => out.writeFile(JSON.stringify(value)));
}

/** Undefined if there is none, or it is not in the form we know. */
async function read<T>(
  runtimeDirectory: string,
  name: string,
  parser: z.ZodMiniType<T>,
): Promise<T | undefined> {
  try {
    const bytes = await readForeign(runtimeDirectory, name, limits.screenFileBytes);
    return parser.safeParse(JSON.parse(bytes?.toString('utf8') ?? '')).data;
  } catch {
    return undefined;
  }
}

export const writeMediumWord = (runtimeDirectory: string, word: MediumWord): Promise<void> =>
  write(runtimeDirectory, names.word, word);

export const readMediumWord = (runtimeDirectory: string): Promise<MediumWord | undefined> =>
  read(runtimeDirectory, names.word, mediumWord);

/** Any earlier question is withdrawn, with its answer. */
export async function writeQuestion(runtimeDirectory: string, question: ApprovalQuestion): Promise<void> {
  await rm(answerFile(runtimeDirectory), { force: true });
  await write(runtimeDirectory, names.question, question);
}

export const readQuestion = (runtimeDirectory: string): Promise<ApprovalQuestion | undefined> =>
  read(runtimeDirectory, names.question, approvalQuestion);

export async function withdrawQuestion(runtimeDirectory: string): Promise<void> {
  await rm(join(runtimeDirectory, names.question), { force: true });
  await rm(answerFile(runtimeDirectory), { force: true });
}

export const writeAnswer = (runtimeDirectory: string, answer: ApprovalAnswer): Promise<void> =>
  write(runtimeDirectory, names.answer, answer);

export const readAnswer = (runtimeDirectory: string): Promise<ApprovalAnswer | undefined> =>
  read(runtimeDirectory, names.answer, approvalAnswer);
