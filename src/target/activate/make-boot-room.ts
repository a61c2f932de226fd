/**
 * Makes room in the boot partition, as root: the oldest generations leave the menu, as few as will free the missing room, and the boot
 * loader’s builder removes the kernels that no longer belong to any (nixpkgs, systemd-boot-builder.py: remove_old_entries; install-grub.pl,
 * extlinux and Limine do the same).
 */
import { type BootFiles, filesOf, listBootFiles } from '../../activation/boot-files.ts';
import { type BootRoomQuestion, lacksBootRoom } from '../../activation/boot-room.ts';
import { NixmakerError } from '../../core/errors.ts';
import { type Freed, nothingFreed, unfinishedBecause } from '../../core/run/freed.ts';
import { countToDelete, type Generation, type Holding } from '../../core/run/surplus.ts';
import { sizeText } from '../../core/size.ts';
import type { StorePath } from '../../core/store-path.ts';
import { spaceAt } from '../../media/space.ts';
import type { ByRun } from '../machine/by-run.ts';
import { lookAtGenerations } from '../machine/generations.ts';
import { deleteHeld, settle } from './leave.ts';
import type { RoomMaker } from './store-room.ts';

/** The lock must be held. @returns what was freed, even if that is not enough */
export async function makeBootRoom(
  machine: RoomMaker,
  by: ByRun,
  question: BootRoomQuestion,
): Promise<Freed> {
  const { bootDirectory } = question;
  await settle(machine, 'cut-off');
  const { freeBytes: before } = await spaceAt(bootDirectory);
  let deleted: readonly Generation[] = [];
  let unfinished: Pick<Freed, 'unfinished'> = {};
  try {
    deleted = await deleteAsNeeded(machine, by, question);
  } catch (error) {
    if (!(error instanceof NixmakerError)) throw error;
    unfinished = unfinishedBecause(`${error.code}: ${error.detail}`);
  }
  const { freeBytes: after } = await spaceAt(bootDirectory);
  const freed: Freed = {
    ...nothingFreed,
    generations: deleted.map(({ number }) => number),
    bootBytes: Math.max(0, after - before),
    ...unfinished,
  };
  by.emit('room-made', { ...freed });
  return freed;
}

async function deleteAsNeeded(
  machine: RoomMaker,
  by: ByRun,
  question: BootRoomQuestion,
): Promise<readonly Generation[]> {
  const { all, surplus } = await lookAtGenerations(machine, { isOneComing: true });
  const files = await listBootFiles(question.bootDirectory);
  const held = await holdingsOf(files, [...all.map(({ toplevel }) => toplevel), question.system]);
  const of = ({ toplevel }: Pick<Generation, 'toplevel'>) => held.get(toplevel) ?? new Map();
  // Orphans left by a builder that was cut off, or by generations that somebody has deleted since.
  if (hasOrphans(files, held)) await deleteHeld(machine, by, { generations: [], menu: 'anew' });
  const lacking = await lacksBootRoom(question);
  if (lacking === 0) return [];
  const going = new Set(surplus.map(({ number }) => number));
  const staying = all.filter(({ number }) => !going.has(number)).map(of);
  // What the new system shares with an old one would have to be copied again.
  const others = [...staying, of({ toplevel: question.system })];
  const count = countToDelete(surplus.map(of), others, lacking);
  if (count === undefined)
    throw new NixmakerError(
      'no-boot-space',
      `${sizeText(lacking)} more needed, which no generations that may go would free`,
    );
  return deleteHeld(machine, by, { generations: surplus.slice(0, count), menu: 'anew' });
}

async function holdingsOf(
  files: BootFiles,
  systems: readonly StorePath[],
): Promise<ReadonlyMap<StorePath, Holding>> {
  const held = new Map<StorePath, Holding>();
  for (const system of systems) if (!held.has(system)) held.set(system, await filesOf(files, system));
  return held;
}

function hasOrphans(files: BootFiles, held: ReadonlyMap<StorePath, Holding>): boolean {
  const known = new Set([...held.values()].flatMap((holding) => [...holding.keys()]));
  return [...files.keys()].some((path) => !known.has(path));
}
