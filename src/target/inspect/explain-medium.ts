/** What this machine would do with each bundle on a medium, and why: `inspect FOLDER --policy FILE`. */
import { relative } from 'node:path';
import { listPool } from '../../bundle/pool.ts';
import type { NixmakerError } from '../../core/errors.ts';
import type { Candidate } from '../../media/inbox.ts';
import type { Machine } from '../machine/machine.ts';
import { listCandidates } from '../media/candidates.ts';
import { type Judged, judgeCandidate } from '../media/judge.ts';
import { Lookalikes } from '../update/lookalikes.ts';
import { accessTo, unreadable } from '../update/medium-access.ts';

export interface MediumVerdict extends Judged {
  readonly file: string;
}

/** An unreadable file gets a line too, and hides none of the others. */
export async function explainMedium(machine: Machine, folder: string): Promise<MediumVerdict[]> {
  const verdicts: MediumVerdict[] = [];
  const { host } = machine.policy;
  const { withDeadline } = accessTo(machine, { onMedium: true, path: folder });
  const nameIn = (path: string) => relative(folder, path) || '.';
  const onFault = (path: string, { code, detail }: Pick<NixmakerError, 'code' | 'detail'>) =>
    void verdicts.push({ file: nameIn(path), ...unusable({ code, detail }) });
  const looking = { withDeadline, lookalikes: new Lookalikes(), onFault };
  const { candidates } = await listCandidates(folder, host, looking);
  for (const candidate of candidates)
    verdicts.push({ file: nameIn(candidate.path), ...(await judgeNamed(machine, candidate)) });
  // Most of a fleet’s stick is for other hosts, as the location shows.
  const onPoolFault = (path: string, error: unknown) => {
    if (!verdicts.some(({ file }) => file === nameIn(path))) onFault(path, unreadable(error));
  };
  for (const entry of await withDeadline(() => listPool(folder, undefined, onPoolFault))) {
    const { host: other, sequence } = entry;
    if (other === host) continue;
    verdicts.push({
      file: nameIn(entry.folder),
      host: other,
      sequence,
      judgement: { outcome: 'other-host' },
    });
  }
  return verdicts;
}

const unusable = (why: Pick<NixmakerError, 'code' | 'detail'>): Judged => ({
  host: undefined,
  sequence: undefined,
  judgement: { outcome: 'unusable', ...why },
});

/** A file that does not have the name of a bundle is not taken, whatever it is. */
async function judgeNamed(machine: Machine, candidate: Candidate): Promise<Judged> {
  const judged = await judgeCandidate(machine, candidate);
  if (candidate.misnamed === undefined || judged.judgement.outcome === 'other-host') return judged;
  const { judgement } = unusable({ code: 'misnamed', detail: candidate.misnamed });
  return { ...judged, judgement };
}
