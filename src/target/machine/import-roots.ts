/** Garbage-collector roots that hold imported paths until the profile does. */
import { join } from 'node:path';
import type { Manifest } from '../../core/release/manifest.ts';
import { makeFolder } from '../../files/folder.ts';
import { namesIn } from '../../files/read.ts';
import { dropRoot, rootInAdvance } from '../../nix/roots.ts';
import type { Machine } from './machine.ts';

type Keeper = Pick<Machine, 'settings'>;

const rootLink = ({ settings }: Keeper, name: string) => join(settings.stateDirectory, 'roots', name);

export async function rootImport(
  machine: Keeper & Pick<Machine, 'nix'>,
  manifest: Pick<Manifest, 'derivation' | 'toplevel'>,
): Promise<void> {
  await makeFolder(join(machine.settings.stateDirectory, 'roots'));
  await rootInAdvance(machine.nix, [
    { link: rootLink(machine, 'incoming'), path: manifest.toplevel },
    { link: rootLink(machine, 'incoming-drv'), path: manifest.derivation },
  ]);
}

const stagedNames = (digest: string) => [`staged-${digest}`, `staged-${digest}-drv`] as const;

/** Holds a release that waits for its time, until it is dropped. */
export async function rootStaged(
  machine: Keeper & Pick<Machine, 'nix'>,
  digest: string,
  manifest: Pick<Manifest, 'derivation' | 'toplevel'>,
): Promise<void> {
  const [toplevel, derivation] = stagedNames(digest);
  await makeFolder(join(machine.settings.stateDirectory, 'roots'));
  await rootInAdvance(machine.nix, [
    { link: rootLink(machine, toplevel), path: manifest.toplevel },
    { link: rootLink(machine, derivation), path: manifest.derivation },
  ]);
}

/** The releases that are held so, by their digests. */
export async function listStagedRoots({ settings }: Keeper): Promise<string[]> {
  const names = await namesIn(join(settings.stateDirectory, 'roots'));
  return names.flatMap((name) => /^staged-([0-9a-f]{64})(?:-drv)?(?:\.new)?$/.exec(name)?.[1] ?? []);
}

export async function dropStagedRoots(machine: Keeper, digest: string): Promise<void> {
  for (const name of stagedNames(digest)) await dropRoot(rootLink(machine, name));
}

/** Also after a run that stopped midway: its roots stay until its outcome is known. */
export async function dropImportRoots(machine: Keeper): Promise<void> {
  for (const name of ['incoming', 'incoming-drv']) await dropRoot(rootLink(machine, name));
}
