/** What lies at a place that this machine may take. */
import { hasPool, listPool } from '../../bundle/pool.ts';
import { type Candidate, listInbox } from '../../media/inbox.ts';
import type { Access } from '../update/medium-access.ts';

/** Sequences of one host looked at in one pool; `put` leaves far fewer. */
const mostSequences = 16;

export interface Listing {
  readonly candidates: readonly Candidate[];
  /** It has a folder of ours. */
  readonly hasPool: boolean;
}

/** What lies there for this host, and files that may be for anybody. @throws NixmakerError `medium-stalled`, `medium-unreadable` */
export async function listCandidates(root: string, host: string, { withDeadline }: Access): Promise<Listing> {
  const files = await withDeadline(() => listInbox(root));
  const entries = await withDeadline(() => listPool(root, host));
  const pool = entries
    .slice(0, mostSequences)
    .map(({ folder }): Candidate => ({ format: 'pool', path: folder }));
  return {
    candidates: [...pool, ...files].map((c) => ({ ...c, onMedium: true })),
    hasPool: await withDeadline(() => hasPool(root)),
  };
}
