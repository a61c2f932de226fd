/** What is checked of the new root before the first byte is written to it, once the release itself is known to be whole and wanted. */
import { join } from 'node:path';
import { copiedAs, layouts, requireFit } from '../../activation/boot-room.ts';
import type { OpenedBundle } from '../../bundle/contents.ts';
import { withoutIt } from '../../bundle/tree.ts';
import { ifNowhere } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { WholePiece } from '../../core/release/contents-file.ts';
import { needOfLines } from '../../core/release/need.ts';
import { type StorePath, storeDir } from '../../core/store-path.ts';
import { isThere, namesIn } from '../../files/read.ts';
import { freeApartFrom } from '../../media/space.ts';
import { storeFolder } from '../../nix/store.ts';
import type { RootMachine } from '../machine/machine.ts';
import { comparePaths } from '../machine/valid-paths.ts';
import { requireRoom } from '../update/room.ts';
import { isUnfinished, requireSoundRoot } from './cut-off.ts';
import type { NewSystem } from './new-system.ts';
import { nearest, requireBelow, requireMounted } from './root-folder.ts';

/** What is to be imported, and from what. */
export interface Wanted {
  readonly missing: readonly number[];
  readonly pieces: ReadonlyMap<number, WholePiece>;
  /** Of these, what an attempt that was cut off has left without files (cut-off.ts). */
  readonly lost: readonly StorePath[];
}

/** Where something is written, by the new system’s own paths. */
const writtenPaths = ({ settings }: NewSystem, sshHostKeys: readonly string[]): string[] => [
  ...['/etc', '/nix/store', '/nix/var/nix/db'],
  ...[settings.profile, settings.stateDirectory, settings.activationDirectory, settings.bootDirectory],
  ...(settings.identityFile === undefined ? [] : [settings.identityFile]),
  ...sshHostKeys,
];

/**
 * @param root where the new file systems are mounted
 * @throws NixmakerError `root-unusable`, `no-space`, `no-boot-space`
 */
export async function checkRoot(
  machine: RootMachine,
  {
    root,
    system,
    bundle,
  }: { readonly root: string; readonly system: NewSystem; readonly bundle: OpenedBundle },
): Promise<Wanted> {
  const written = writtenPaths(system, system.sshHostKeys);
  // What the firmware reads may be mounted beside the folder with the kernels, or below it (boot-mounted.ts).
  const ofBooting = system.mounts.filter(
    (m) => m === '/efi' || m.startsWith(`${system.settings.bootDirectory}/`),
  );
  await requireMounted(root, system.mounts, [...written, ...ofBooting]);
  await requireBelow(root, written);
  const wanted = await whatIsMissing(machine, root, bundle);
  if (wanted.missing.length > 0)
    await requireRoom(
      machine,
      await nearest(storeFolder(machine.nix)),
      needOfLines(bundle.index, wanted.missing),
    );
  await requireBootRoom(machine, system, root);
  return wanted;
}

/** Every path must come whole: a new disk has nothing that a delta could build on. @throws NixmakerError `base-missing` */
export function wholePieces(bundle: OpenedBundle): ReadonlyMap<number, WholePiece> {
  const whole = new Map<number, WholePiece>();
  for (let line = 0; line < bundle.index.length; line++) {
    const piece = bundle.pieces.get(line)?.find((p) => p.kind === 'whole');
    if (piece === undefined) throw withoutIt(bundle.index.path(line));
    whole.set(line, piece);
  }
  return whole;
}

/** @throws NixmakerError `root-unusable` */
export async function whatIsMissing(
  machine: RootMachine,
  root: string,
  bundle: OpenedBundle,
): Promise<Wanted> {
  const pieces = wholePieces(bundle);
  // Nix would create a store if it were asked about one.
  if (!(await isThere(join(root, 'nix/var/nix/db/db.sqlite'))))
    return { missing: [...pieces.keys()], pieces, lost: [] };
  const recognition = { wanted: () => () => false, counts: () => false };
  const { missing, differing, lost } = await comparePaths(machine, bundle.index, recognition);
  const isForgotten = lost.length > 0 && (await isUnfinished(root));
  requireSoundRoot({ differing, lost: isForgotten ? [] : lost });
  if (!isForgotten) return { missing, pieces, lost: [] };
  const again = new Set<string>(lost.map(({ path }) => path));
  const lines = [...pieces.keys()].filter((line) => again.has(bundle.index.path(line)));
  return {
    missing: [...missing, ...lines].sort((a, b) => a - b),
    pieces,
    lost: lost.map(({ path }) => path),
  };
}

/** For what the boot loader has to copy to a file system of its own. @throws NixmakerError `no-boot-space` */
async function requireBootRoom(
  { settings: { bootDirectory } }: RootMachine,
  { bootFiles }: NewSystem,
  root: string,
): Promise<void> {
  const free = await freeApartFrom(bootDirectory, root).catch(ifNowhere(undefined));
  if (free === undefined) return;
  const names: string[] = [];
  for (const layout of layouts) names.push(...(await namesIn(join(bootDirectory, layout), 'ENOTDIR')));
  let bytes = 0;
  for (const { part, file } of bootFiles) {
    const isCopy = copiedAs(part, file.path, storeDir);
    // One whose name tells its contents can’t be compared before it is in the store.
    const compared = await Promise.all(names.map((name) => isCopy(name).catch(ifNowhere(false))));
    if (!compared.includes(true)) bytes += file.size;
  }
  requireFit({ bootDirectory }, { bytes, isKnown: true }, free);
}

/** @throws NixmakerError `not-installable` */
export function requireClosure(content: string): void {
  if (content !== 'closure')
    throw new NixmakerError(
      'not-installable',
      'it carries recipes only, and a new disk has nothing to build them with',
    );
}
