/** What programs say when they fail. */
import { messageOf } from './errors.ts';
import type { CommandResult } from './ports.ts';

/** Why a program has failed, in its own last words. @param unsaid where it had none */
export const complaintOf = (
  { startError, stderrTail }: Pick<CommandResult, 'startError' | 'stderrTail'>,
  unsaid: string,
): string => messageOf(startError ?? stderrTail.at(-1) ?? unsaid);
