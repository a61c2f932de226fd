/** What a bundle says of its release: whose, of when, and what the operator has given it along. */
import { printable } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import type { EvaluatedHost } from '../../nix/flake.ts';
import { type BundleIdentity, timestampOf } from './assemble.ts';
import type { LockedSource } from './source.ts';

type Given = 'expiresAt' | 'machineId' | 'downgradeFrom' | 'noWayBack' | 'content' | 'notes';

interface Made {
  /** `epoch`: seconds since 1970; without it the commit’s time. */
  readonly options: Pick<BundleIdentity, Given> & { readonly epoch?: number };
  readonly source: Pick<LockedSource, 'metadata'>;
}

export function identityOf(
  { options, source: { metadata } }: Made,
  host: string,
  evaluated: EvaluatedHost,
): BundleIdentity {
  const revision = metadata.revision ?? metadata.dirtyRevision;
  // The commit's time, not the build's: the same flake gives the same bytes on any day. A flake that is no commit
  // has only its files' times, which every copy of it changes, so it has none (docs/adr/0003).
  const epoch = options.epoch ?? (revision === undefined ? 0 : (metadata.lastModified ?? 0));
  const description =
    metadata.description === undefined ? undefined : printable(metadata.description).slice(0, 1000);
  return given({
    host,
    system: evaluated.system,
    createdAt: timestampOf(epoch),
    expiresAt: options.expiresAt,
    machineId: options.machineId,
    downgradeFrom: options.downgradeFrom,
    noWayBack: options.noWayBack,
    content: options.content,
    derivation: evaluated.derivation,
    toplevel: evaluated.toplevel,
    notes: options.notes,
    flake: given({ description, revision }),
  });
}
