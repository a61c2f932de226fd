/** A stuck run: begun, not ended, and nobody holds a lock under which it would be at work. Reads only. */
import type { Settings } from '../../core/policy/settings.ts';
import { hasBegunToChange, isAtRest } from '../../core/run/lifecycle.ts';
import { localMinute } from '../../report/local-time.ts';
import { type JournalRecord, lastOfEach } from '../../state/journal.ts';
import { isLockHeld } from '../../state/lock.ts';
import { floorDirectoryOf } from '../machine/machine.ts';

export interface Standing {
  readonly state: string;
  readonly source: string;
  /** From the last line of its journal. */
  readonly since: string;
  /** Whether the machine was being changed. */
  readonly hasBegunToChange: boolean;
}

/** @param read reads the journal; called twice, because the run may have ended, or another begun, while the lock was looked at */
export async function findStanding(
  settings: Settings,
  read: () => Promise<readonly JournalRecord[]>,
): Promise<Standing | undefined> {
  const before = unended(await read());
  if (before === undefined) return undefined;
  for (const folder of [floorDirectoryOf(settings), settings.stateDirectory])
    if (await isLockHeld(folder)) return undefined;
  const found = unended(await read());
  if (found === undefined || found.transaction !== before.transaction || found.state !== before.state)
    return undefined;
  const { state, source, at: since } = found;
  return { state, source, since, hasBegunToChange: hasBegunToChange(state) };
}

/** The one that matters most. */
function unended(records: readonly JournalRecord[]): JournalRecord | undefined {
  const all = lastOfEach(records).filter(({ state }) => !isAtRest(state));
  return all.findLast(({ state }) => hasBegunToChange(state)) ?? all.at(-1);
}

/** What happened, and the way out. */
export function standingText(standing: Standing): { readonly what: string; readonly next: string } {
  const { state, source, since } = standing;
  const what = `the run of ${source} stopped at \`${state}\`, ${localMinute(since)}, and nothing is working on it`;
  return standing.hasBegunToChange
    ? {
        what: `${what}: the machine was being changed`,
        next: 'Run `nixmaker confirm` as root to finish or undo it. The next bundle or the next start does the same.',
      }
    : {
        what: `${what}; nothing was changed`,
        next: 'Nothing to do: the next bundle cleans up what was begun, and this one can be brought again.',
      };
}
