/** What nixmaker-check.service does: reads the contents of this machine’s systems, a part at each start, and keeps what it found. */
import { given } from '../../core/given.ts';
import type { ContentsRecord } from '../../core/run/damage.ts';
import { readContentsRecord, writeContentsRecord } from '../../state/contents-record.ts';
import { checkContents } from '../machine/check-contents.ts';
import type { RootMachine } from '../machine/machine.ts';

/** Milliseconds of reading at each start, between two records, and from the end of one pass to the next. */
const [readingTime, sliceTime, restTime] = [2 * 3_600_000, 300_000, 6.5 * 86_400_000];

/** @returns the new record; undefined if the policy does not ask for it, or it is not due */
export async function checkWhenDue(
  machine: RootMachine,
  signal?: AbortSignal,
): Promise<ContentsRecord | undefined> {
  const { clock, floorDirectory, policy } = machine;
  if (policy.repair === 'never') return undefined;
  let record = await readContentsRecord(floorDirectory);
  const since = clock.now().getTime() - Date.parse(record.finished ?? '');
  // A clock that was set back must not put it off.
  if (record.after === undefined && since >= 0 && since < restTime) return undefined;
  const until = clock.monotonic() + readingTime;
  do {
    record = await checkContents(machine, record, { time: sliceTime, ...given({ signal }) });
    await writeContentsRecord(floorDirectory, record);
  } while (record.after !== undefined && signal?.aborted !== true && clock.monotonic() < until);
  const { paths, damaged, more, after } = record;
  machine.emit({
    event: 'contents-checked',
    level: damaged.length > 0 ? 'error' : 'info',
    isWhole: after === undefined,
    paths,
    damaged: damaged.map(({ path }) => path).slice(0, 100),
    more,
  });
  return record;
}
