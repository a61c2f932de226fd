/** Compares two systems of this machine, or one with what a bundle brings. Reads only. */
import { realpath } from 'node:fs/promises';
import { findStartChanges, findUnitChanges } from '../../activation/inspect.ts';
import { diffClosures, type SystemDiff } from '../../core/bundle/closure-diff.ts';
import type { Sized } from '../../core/bundle/predecessor.ts';
import { NixmakerError } from '../../core/errors.ts';
import { parseStorePath, type StorePath } from '../../core/store-path.ts';
import type { NixContext } from '../../nix/command.ts';
import { withOpenDaemon } from '../../nix/open-daemon.ts';
import { queryClosureInfos } from '../../nix/valid-info.ts';

export interface Side {
  readonly toplevel: StorePath;
  /** As a manifest lists them; if omitted, the store is asked. */
  readonly paths?: readonly Sized[];
}

/** The system that a link or a path leads to. @throws NixmakerError `usage` if it leads to none, Error `ENOENT` if nothing is there */
export async function systemAt(path: string): Promise<StorePath> {
  const system = parseStorePath(await realpath(path));
  if (system === undefined) throw new NixmakerError('usage', `${path} is not a system in the store`);
  return system;
}

const closureOf = async (nix: NixContext, root: StorePath): Promise<Sized[]> =>
  [...(await queryClosureInfos(nix, root))].map(([path, { narSize }]) => ({ path, narSize }));

/** Units, and what needs a restart, are reported only for a system that is in the store. @throws NixmakerError `nix-failed` */
export async function diffSystems(
  nix: NixContext,
  { from, to }: { from: StorePath; to: Side },
): Promise<SystemDiff> {
  const [before, after] = await withOpenDaemon(nix, async (open) => [
    await closureOf(open, from),
    to.paths ?? (await closureOf(open, to.toplevel)),
  ]);
  const closures = diffClosures(before, after);
  if (to.paths !== undefined) return { ...closures, units: [], restart: [] };
  return {
    ...closures,
    units: await findUnitChanges(from, to.toplevel),
    restart: await findStartChanges(from, to.toplevel),
  };
}
