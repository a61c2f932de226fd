/** For `doctor`: whether the contents of this machine’s systems are still what they were. */
import { type ContentsRecord, damagedNames, damageText, isReplaceable } from '../../core/run/damage.ts';
import { becomeIdle } from '../../process/idle.ts';
import { localMinute } from '../../report/local-time.ts';
import { readContentsRecord, writeContentsRecord } from '../../state/contents-record.ts';
import { type CheckOptions, checkContents } from '../machine/check-contents.ts';
import type { Machine } from '../machine/machine.ts';
import { bad, type Found, look, ok } from './found.ts';

/** `doctor --deep`. Root’s findings are kept, and its next reading goes on from them; for anybody else they are gone with the answer. */
export async function readDeeply(
  machine: Machine,
  minutes: number | undefined,
  showing: Pick<CheckOptions, 'onProgress' | 'signal'>,
): Promise<ContentsRecord> {
  await becomeIdle(machine.run);
  const before = await readContentsRecord(machine.floorDirectory);
  const time = minutes === undefined ? {} : { time: minutes * 60_000 };
  const record = await checkContents(machine, before, { ...time, ...showing });
  if (machine.role !== 'agent') await writeContentsRecord(machine.floorDirectory, record);
  return record;
}

export async function checkRecord(
  { floorDirectory }: Pick<Machine, 'floorDirectory'>,
  read: ContentsRecord | undefined,
): Promise<Found> {
  const record = read ?? (await readContentsRecord(floorDirectory));
  const { damaged, more, finished, after, paths, unsigned } = record;
  const worst = damaged.find(isReplaceable) ?? damaged.find(({ what }) => what === 'unregistered');
  if (worst !== undefined)
    return bad(
      `${damaged.length + more} store paths are damaged: ${damagedNames(damaged, more)}`,
      'Run `nixmaker repair BUNDLE` with a bundle of this machine that has them (the installed release, for example).',
    );
  const [first] = damaged;
  if (first !== undefined) return look(damageText(first), 'See docs/operations.md, damaged store paths.');
  if (after !== undefined)
    return ok('no damage so far, but not all has been read: run `nixmaker doctor --deep` again');
  if (finished === undefined) return ok('unknown: never read (`nixmaker doctor --deep` does)');
  const byDatabase = unsigned === 0 ? '' : `; for ${unsigned}, only Nix’s database says what they should be`;
  return ok(`all ${paths} store paths were whole at ${localMinute(finished)}${byDatabase}`);
}
