/** The release that is staged, for people. Reads only. */

import { insteadOf } from '../../core/errno.ts';
import { printable } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { localMinute } from '../../report/local-time.ts';
import { listStaged } from '../../state/staged.ts';
import type { Machine } from '../machine/machine.ts';
import { readStaged } from '../machine/staged.ts';
import { type Found, look, ok } from './found.ts';

export interface StagedStatus {
  readonly sequence: number;
  readonly since: string;
  /** What it waits for, and when that was last found; undefined if nobody knows. */
  readonly code?: string;
  readonly detail?: string;
  readonly at?: string;
}

/** Undefined if none is, or this user may not know. */
export async function stagedStatus({
  floorDirectory,
}: Pick<Machine, 'floorDirectory'>): Promise<StagedStatus | undefined> {
  const staged = await readStaged({ floorDirectory });
  if (staged === undefined) return undefined;
  const { sequence, since, record } = staged;
  const { code, detail, at } = record ?? {};
  return given({ sequence, since, code, detail, at });
}

/** In one line. */
export function stagedText({ sequence, since, code, detail }: StagedStatus): string {
  const why = code === undefined ? '' : `: ${code}${detail ? ` (${detail})` : ''}`;
  return printable(`release ${sequence}, since ${localMinute(since)}${why}`);
}

/** For `doctor`. */
export async function checkStaged(machine: Pick<Machine, 'floorDirectory' | 'policy'>): Promise<Found> {
  const staged = await stagedStatus(machine);
  if (staged === undefined) {
    const left = await listStaged(machine.floorDirectory).catch(insteadOf(['EACCES'], []));
    return left.length === 0
      ? ok('no release')
      : look('something was left behind', 'It goes when nixmaker-activate.service is started next.');
  }
  const text = stagedText(staged);
  return staged.code === undefined
    ? look(`${text}; what it waits for is unknown`, 'Check the disk. It is looked at again in its turn.')
    : ok(text);
}
