/** What programs say when they fail. */
import { messageOf } from './errors.ts';
import type { CommandResult } from './ports.ts';

/** Why a program has failed, in its own last words. @param unsaid where it had none */
export const complaintOf = (
  { startError, stderrTail }: Pick<CommandResult, 'startError' | 'stderrTail'>,
  unsaid: string,
): string => messageOf(startError ?? stderrTail.at(-1) ?? unsaid);

/** How a program ended, in words. @param exitCode undefined where a signal ended it */
export const exitText = (exitCode: number | undefined): string =>
  exitCode === undefined ? 'killed by a signal' : `exit ${exitCode}`;
