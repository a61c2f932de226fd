/** What a place holds that this machine may take. */
import { hasPool, isOtherPool, listPool } from '../../bundle/pool.ts';
import { poolFolder } from '../../core/bundle/pool-folder.ts';
import type { NixmakerError } from '../../core/errors.ts';
import { type Candidate, listInbox } from '../../media/inbox.ts';
import type { Lookalikes } from '../update/lookalikes.ts';
import { type Access, unreadable } from '../update/medium-access.ts';

/** Folders at the root of one place that are looked into because their names suggest a pool. */
const mostFolders = 16;

const calledOtherwise = `it is the folder of a medium, and is not called \`${poolFolder}\``;

/** Sequences of one host looked at in one pool; `put` leaves far fewer. */
const mostSequences = 16;

export interface Listing {
  readonly candidates: readonly Candidate[];
  /** It has a folder of ours. */
  readonly hasPool: boolean;
}

interface Looking extends Pick<Access, 'withDeadline'> {
  readonly lookalikes: Lookalikes;
  /** Receives whatever can’t be read, which holds up nothing else: `medium-unreadable`. */
  readonly onFault: (path: string, error: NixmakerError) => void;
}

/**
 * What is there for this host, and files that may be for any host; what may be a bundle but does not have the name of one comes last.
 * @throws NixmakerError `medium-stalled`
 */
export async function listCandidates(root: string, host: string, looking: Looking): Promise<Listing> {
  const { withDeadline, lookalikes, onFault } = looking;
  let isAllUnreadable = false;
  const misnamed: string[] = [];
  const beside = {
    onFault: (folder: string, error: unknown) => {
      isAllUnreadable ||= folder === root;
      onFault(folder, unreadable(error));
    },
    onOther: lookalikes.note,
    onFolder: (folder: string) => void (misnamed.length < mostFolders && misnamed.push(folder)),
  };
  const files = await withDeadline(() => listInbox(root, beside));
  // Nothing below it would respond either.
  if (isAllUnreadable && files.length === 0) return { candidates: [], hasPool: false };
  const entries = await withDeadline(() => listPool(root, host, beside.onFault));
  const pool = entries
    .slice(0, mostSequences)
    .map(({ folder }): Candidate => ({ format: 'pool', path: folder }));
  const others = await lookalikes.found({ to: () => ({ withDeadline }) });
  for (const folder of misnamed)
    if (await withDeadline(() => isOtherPool(root, folder, host)))
      others.push({ format: 'bundle', path: folder, misnamed: calledOtherwise, isForHost: true });
  return {
    candidates: [...pool, ...files, ...others].map((c) => ({ ...c, onMedium: true })),
    hasPool: await withDeadline(() => hasPool(root)),
  };
}
