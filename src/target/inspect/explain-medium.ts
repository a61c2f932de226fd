/** What this machine would do with each bundle on a medium, and why: `inspect FOLDER --policy FILE`. */
import { relative } from 'node:path';
import { listPool } from '../../bundle/pool.ts';
import type { Machine } from '../machine/machine.ts';

import { listCandidates } from '../media/candidates.ts';
import { type Judged, judgeCandidate } from '../media/judge.ts';
import { accessTo } from '../update/medium-access.ts';

export interface MediumVerdict extends Judged {
  readonly file: string;
}

export async function explainMedium(machine: Machine, folder: string): Promise<MediumVerdict[]> {
  const verdicts: MediumVerdict[] = [];
  const { host } = machine.policy;
  const { candidates } = await listCandidates(folder, host, accessTo(machine, { onMedium: true }));
  for (const candidate of candidates) {
    verdicts.push({ file: relative(folder, candidate.path), ...(await judgeCandidate(machine, candidate)) });
  }
  // Of a fleet's stick most is for others, told by its place.
  for (const entry of await listPool(folder)) {
    const { host: other, sequence } = entry;
    if (other === host) continue;
    verdicts.push({
      file: relative(folder, entry.folder),
      host: other,
      sequence,
      judgement: { outcome: 'other-host' },
    });
  }
  return verdicts;
}
