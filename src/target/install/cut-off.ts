/**
 * What a power cut in an earlier attempt has left in the new root’s store: paths that Nix calls valid, without all of their files. Before
 * the new system’s profile is there nothing can be started from the disk, so they go, and come again with the rest.
 *
 * Threat: it is not a new disk. A system on it, or a person’s profile there, may be the only one that has these paths.
 */
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ifNowhere } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { StorePath } from '../../core/store-path.ts';
import { deletePaths, findReferrers } from '../../nix/store.ts';
import type { RootMachine } from '../machine/machine.ts';
import { type Comparison, requireAsSigned } from '../machine/valid-paths.ts';

/** Below which each link holds something (Nix src/libstore/gc.cc, findRootsNoTemp). */
const holding = ['nix/var/nix/profiles', 'nix/var/nix/gcroots'];

/** Whether nothing is installed in this root, and nobody has put anything of theirs there. */
export async function isUnfinished(root: string): Promise<boolean> {
  for (const folder of holding) {
    const found = await readdir(join(root, folder), { recursive: true, withFileTypes: true }).catch(
      ifNowhere([]),
    );
    // Nix itself makes `gcroots/profiles`, which leads to the other folder.
    const isSomebodys = ({ name, parentPath }: { name: string; parentPath: string }) =>
      !(name === 'profiles' && parentPath === join(root, 'nix/var/nix/gcroots'));
    if (found.some((entry) => entry.isSymbolicLink() && isSomebodys(entry))) return false;
  }
  return true;
}

const otherwise = 'make its file systems anew';
const advice = {
  'store-corrupt': `If a system on that disk is to be kept, start it and run \`nixmaker repair BUNDLE\` there; otherwise ${otherwise}`,
  'store-differs': `If a system on that disk is to be kept, update it instead; otherwise ${otherwise}`,
} as const;

/** With advice for a machine that is being installed. @throws NixmakerError `root-unusable` */
export function requireSoundRoot(comparison: Pick<Comparison, 'differing' | 'lost'>): void {
  try {
    requireAsSigned(comparison);
  } catch (error) {
    if (!(error instanceof NixmakerError) || !Object.hasOwn(advice, error.code)) throw error;
    const said = error.detail.replace(/^(valid for Nix|not what was signed)/, '$1 there');
    const detail = `${said}. ${advice[error.code as keyof typeof advice]}`;
    throw new NixmakerError('root-unusable', detail, { cause: error });
  }
}

/**
 * Takes them out of the database, with what refers to them. Only if the root is unfinished: so Nix need not look for what holds them, which
 * it would also do among the live system’s processes, whose paths may have the same names.
 * @returns what to tell a person
 */
export async function forgetLost(
  { nix, emit }: Pick<RootMachine, 'emit' | 'nix'>,
  lost: readonly StorePath[],
): Promise<string> {
  emit({ event: 'store-lost', level: 'warn', paths: lost });
  await deletePaths(nix, await findReferrers(nix, lost), ['--ignore-liveness']);
  return `${lost.length} store paths lacked files, as after a power cut; they were deleted and imported again. The first is ${lost[0]}.`;
}
