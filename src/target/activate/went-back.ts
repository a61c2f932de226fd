/** What an operator’s going back says about releases: the one that was left is held, the one gone back to is wanted. */
import type { Receipt } from '../../core/run/receipt.ts';
import { free, hold } from '../machine/held.ts';
import type { Machine } from '../machine/machine.ts';

type Known = Pick<Receipt, 'targetGeneration' | 'rolledBackFrom' | 'rolledBackTo'>;

/** Before the run ends, and again if it was cut off: done afterwards, a cut in between would have the release taken again. */
export async function holdWhatWasLeft(
  machine: Pick<Machine, 'floorDirectory' | 'clock'>,
  { rolledBackFrom, rolledBackTo }: Known,
): Promise<void> {
  if (rolledBackTo !== undefined) await free(machine, ({ sequence }) => sequence !== rolledBackTo);
  if (rolledBackFrom !== undefined) await hold(machine, rolledBackFrom, 'rolled back from it');
}

/** Undefined for a run that did not go back. */
export function sentenceOfGoingBack(
  { targetGeneration, rolledBackFrom, rolledBackTo }: Known,
  how: 'runs' | 'runs-later',
): string | undefined {
  if (targetGeneration === undefined) return undefined;
  const which = rolledBackTo === undefined ? '' : ` (release ${rolledBackTo})`;
  const runs =
    how === 'runs'
      ? 'which is installed and running'
      : 'which is installed and runs from the next start; confirm it then';
  const left =
    rolledBackFrom === undefined
      ? ''
      : ` Release ${rolledBackFrom} is now held: it is not taken again until something newer comes or \`nixmaker release ${rolledBackFrom}\` frees it.`;
  return `Rolled back to generation ${targetGeneration}${which}, ${runs}.${left}`;
}
