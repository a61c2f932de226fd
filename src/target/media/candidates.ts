/** What lies at a place that this machine may take. */
import { hasPool, listPool } from '../../bundle/pool.ts';
import { NixmakerError } from '../../core/errors.ts';
import { type Candidate, listInbox } from '../../media/inbox.ts';
import { type Access, unreadable } from '../update/medium-access.ts';

/** Sequences of one host looked at in one pool; `put` leaves far fewer. */
const mostSequences = 16;

export interface Listing {
  readonly candidates: readonly Candidate[];
  /** It has a folder of ours. */
  readonly hasPool: boolean;
  /** Why not all of it could be read: `medium-unreadable`. */
  readonly fault: NixmakerError | undefined;
}

/**
 * What lies there for this host, and files that may be for anybody. What can’t be read is told and keeps nothing else back.
 * @throws NixmakerError `medium-stalled`
 */
export async function listCandidates(root: string, host: string, { withDeadline }: Access): Promise<Listing> {
  const faults: NixmakerError[] = [];
  const onFault = (error: unknown) => void faults.push(unreadable(error));
  const files = await withDeadline(() => listInbox(root, onFault));
  const entries = await withDeadline(() => listPool(root, host)).catch((error: unknown) => {
    if (!(error instanceof NixmakerError && error.code === 'medium-unreadable')) throw error;
    faults.push(error);
    return [];
  });
  const pool = entries
    .slice(0, mostSequences)
    .map(({ folder }): Candidate => ({ format: 'pool', path: folder }));
  return {
    candidates: [...pool, ...files].map((c) => ({ ...c, onMedium: true })),
    hasPool: await withDeadline(() => hasPool(root)),
    fault: faults[0],
  };
}
