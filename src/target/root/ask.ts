/**
 * A person’s approval, as a program for the policy’s `approval`: a question that desktops show (target/desktop) and `nixmaker approve`
 * answers. Question and answer lie in root’s own runtime folder: whoever may start root’s units may answer, and nobody else.
 */
import { given } from '../../core/given.ts';
import type { Operation } from '../../core/schema.ts';
import { watchUntil } from '../../media/watch-files.ts';
import {
  answerFile,
  readAnswer,
  readQuestion,
  screenFiles,
  withdrawQuestion,
  writeQuestion,
} from '../../state/screen.ts';
import { type RootMachine, screenDirectoryOf } from '../machine/machine.ts';

export interface Asked {
  readonly sequence?: number | undefined;
  readonly operation?: Operation | undefined;
}

/** How long a question stands if the policy does not say, in seconds. */
const unlimited = 3600;

/**
 * Runs until there is an answer, another question takes its place, or the signal. The policy’s `timeout` ends it from outside.
 * @returns whether somebody approved; undefined without an answer
 */
export async function askForApproval(
  machine: Pick<RootMachine, 'bootId' | 'clock' | 'policy' | 'randomHex' | 'settings'>,
  { sequence, operation }: Asked,
  signal: AbortSignal,
): Promise<boolean | undefined> {
  const folder = screenDirectoryOf(machine.settings);
  const id = machine.randomHex(6);
  const until = machine.clock.uptime() + (machine.policy.approval?.timeout ?? unlimited);
  const question = {
    schema: 1,
    id,
    bootId: machine.bootId,
    until,
    ...given({ sequence, operation }),
  } as const;
  try {
    await writeQuestion(folder, question);
    return await waitForAnswer(folder, id, signal);
  } finally {
    // Another question may have taken its place.
    if ((await readQuestion(folder))?.id === id) await withdrawQuestion(folder);
  }
}

async function waitForAnswer(folder: string, id: string, signal: AbortSignal): Promise<boolean | undefined> {
  const answer = await watchUntil<boolean | 'withdrawn'>([answerFile(folder), ...screenFiles(folder)], {
    signal,
    look: async () => {
      const answer = await readAnswer(folder);
      if (answer?.id === id) return answer.approved;
      return (await readQuestion(folder))?.id === id ? undefined : 'withdrawn';
    },
  });
  return answer === 'withdrawn' ? undefined : answer;
}
