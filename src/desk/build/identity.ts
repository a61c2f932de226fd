/** What a bundle says about its release: which host, which date, and what the operator added. */
import { printable } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { EvaluatedHost, FlakeMetadata } from '../../nix/flake.ts';
import { type BundleIdentity, timestampOf } from './assemble.ts';

/** What the operator decides about a release. */
export interface Wishes
  extends Pick<
    BundleIdentity,
    'expiresAt' | 'machineId' | 'downgradeFrom' | 'noWayBack' | 'content' | 'notes'
  > {
  /** Seconds since 1970 ($SOURCE_DATE_EPOCH); if unset, the commit's time. */
  readonly epoch?: number;
}

export function identityOf(
  wishes: Wishes,
  { description: about, revision: commit, dirtyRevision, lastModified }: FlakeMetadata,
  { host, system, derivation, toplevel }: EvaluatedHost & { readonly host: string },
): BundleIdentity {
  const revision = commit ?? dirtyRevision;
  // The commit's time, not the build's: the same flake gives the same bytes on any day. A flake not built from a commit
  // only has its files' times, which every copy changes, so it has none (docs/adr/0003).
  const epoch = wishes.epoch ?? (revision === undefined ? 0 : (lastModified ?? 0));
  const description = about === undefined ? undefined : printable(about).slice(0, 1000);
  const { expiresAt, machineId, downgradeFrom, noWayBack, content, notes } = wishes;
  return given({
    host,
    system,
    createdAt: timestampOf(epoch),
    expiresAt,
    machineId,
    downgradeFrom,
    noWayBack,
    content,
    derivation,
    toplevel,
    notes,
    flake: given({ description, revision }),
  });
}
