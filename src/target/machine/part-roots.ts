/**
 * What has come of a release on several media is held against garbage collection until the release is taken, a newer set is begun, or nobody has
 * brought another part for a long time.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ifMissing } from '../../core/errno.ts';
import type { StorePath } from '../../core/store-path.ts';
import { makeFolder } from '../../files/folder.ts';
import { dropRoot, rootInAdvance } from '../../nix/roots.ts';
import { readFloor } from '../../state/floor.ts';
import { readParts, removeParts } from '../../state/parts.ts';
import type { Machine } from './machine.ts';

type Keeper = Pick<Machine, 'settings'>;

/** Milliseconds: somebody who brings discs one at a time may be away for some weeks. */
const heldFor = 30 * 86_400_000;

const folderOf = ({ settings }: Keeper) => join(settings.stateDirectory, 'roots');
const isPartRoot = (name: string) => /^part-[0-9]+$/.test(name);

/** In place of those for earlier parts. What is not valid yet takes hold once it is. */
export async function rootParts(
  machine: Keeper & Pick<Machine, 'nix'>,
  paths: readonly StorePath[],
): Promise<void> {
  const folder = folderOf(machine);
  await makeFolder(folder);
  await rootInAdvance(
    machine.nix,
    paths.map((path, i) => ({ link: join(folder, `part-${i}`), path })),
  );
  await dropFrom(machine, paths.length);
}

async function dropFrom(machine: Keeper, first: number): Promise<void> {
  const folder = folderOf(machine);
  for (const name of await readdir(folder).catch(ifMissing([])))
    if (isPartRoot(name) && Number(name.slice('part-'.length)) >= first) await dropRoot(join(folder, name));
}

/** What a person should bring next. */
export async function partsNeeded({
  settings,
}: Keeper): Promise<{ of: number; needed: number[] } | undefined> {
  const parts = await readParts(settings.stateDirectory);
  return parts && { of: parts.of, needed: parts.needed };
}

/** When the set is complete and taken, overtaken, or forgotten by everybody. */
export async function dropDoneParts(
  machine: Keeper & Pick<Machine, 'clock' | 'emit' | 'floorDirectory'>,
): Promise<void> {
  const { stateDirectory } = machine.settings;
  const parts = await readParts(stateDirectory);
  // Nobody knows what for. A note is written before anything is held.
  if (parts === undefined) return dropFrom(machine, 0);
  const { floor } = await readFloor(machine.floorDirectory);
  const isTaken = floor !== undefined && floor.sequence >= parts.sequence;
  const isOld = machine.clock.now().getTime() - Date.parse(parts.at) > heldFor;
  if (!isTaken && !isOld) return;
  await dropFrom(machine, 0);
  await removeParts(stateDirectory);
  const { sequence, here, of } = parts;
  machine.emit({ event: 'parts-dropped', level: isTaken ? 'debug' : 'warn', sequence, here, of });
}
