/** The journal as it grows, for `events` and `status --watch`. */

import { join } from 'node:path';
import type { Settings } from '../../core/policy/settings.ts';
import { watchUntil } from '../../media/watch-files.ts';
import type { JournalRecord } from '../../state/journal.ts';
import { progressFile } from '../../state/progress.ts';
import { runtimeDirectories } from '../machine/machine.ts';
import { journalFolders, readAllJournals } from './status.ts';

interface Following {
  readonly signal: AbortSignal;
  /** Further files that matter. */
  readonly also?: readonly string[];
  readonly call: () => Promise<void>;
}

/** Calls after every change, and once at the start; one call at a time. Runs until the signal. */
export async function onEveryChange(
  settings: Settings,
  { signal, also = [], call }: Following,
): Promise<void> {
  const files = [
    ...journalFolders(settings).map((folder) => join(folder, 'journal')),
    ...runtimeDirectories(settings).map(progressFile),
    ...also,
  ];
  await watchUntil<never>(files, {
    signal,
    look: async () => {
      await call();
      return undefined;
    },
  });
}

/** Every transition already in the journal, then each new one as it comes. */
export async function followEvents(
  settings: Settings,
  { signal, tell }: { signal: AbortSignal; tell: (record: JournalRecord) => void },
): Promise<void> {
  let told = new Set<string>();
  await onEveryChange(settings, {
    signal,
    call: async () => {
      // Transitions that are no longer there (compacted) are not repeated.
      const there = new Set<string>();
      for (const record of (await readAllJournals(settings)).records) {
        const key = `${record.transaction} ${record.state} ${record.at}`;
        if (!told.has(key) && !there.has(key)) tell(record);
        there.add(key);
      }
      told = there;
    },
  });
}
