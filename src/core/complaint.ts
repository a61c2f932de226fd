/** What programs say when they fail. */
import { messageOf } from './errors.ts';
import type { CommandResult } from './ports.ts';

/** Why a program failed, in its own last words. @param unsaid used if it said nothing */
export const complaintOf = (
  { startError, stderrTail }: Pick<CommandResult, 'startError' | 'stderrTail'>,
  unsaid: string,
): string => messageOf(startError ?? stderrTail.at(-1) ?? unsaid);

/** How a program ended, in words. @param exitCode undefined if a signal ended it */
export const exitText = (exitCode: number | undefined): string =>
  exitCode === undefined ? 'killed by a signal' : `exit ${exitCode}`;
