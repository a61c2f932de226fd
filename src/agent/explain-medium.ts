/** What this machine would do with each bundle on a medium, and why: `inspect FOLDER --policy FILE`. */
import { relative } from 'node:path';
import { listInbox } from '../media/inbox.ts';
import { type Judged, judgeCandidate } from './judge.ts';
import type { Machine } from './machine.ts';

export interface MediumVerdict extends Judged {
  readonly file: string;
}

export async function explainMedium(machine: Machine, folder: string): Promise<MediumVerdict[]> {
  const verdicts: MediumVerdict[] = [];
  for (const candidate of await listInbox(folder)) {
    verdicts.push({ file: relative(folder, candidate.path), ...(await judgeCandidate(machine, candidate)) });
  }
  return verdicts;
}
