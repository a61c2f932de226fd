/**
 * What must not be in a flake. If a folder isn’t a git repository, Nix copies all of it at each evaluation, into a store that
 * every user can read and, if a host refers to `self`, into the bundle: the signing key, and earlier bundles.
 */
import { lstat, readdir, readFile, realpath } from 'node:fs/promises';
import { dirname, join, relative, resolve, sep } from 'node:path';
import { ifMissing } from '../../core/errno.ts';
import { NixmakerError, printable } from '../../core/errors.ts';

export interface FlakeNeighbours {
  readonly keyFile: string | undefined;
  /** Where the bundles are written. */
  readonly directory: string;
}

/**
 * Nix looks up a bare name in its registry, and waits for a network that isn’t there.
 * @throws NixmakerError `usage` if there is a folder of that name here
 */
export async function guardBareName(flake: string): Promise<void> {
  // With a branch, or a branch and a commit. Nix also takes `machines/` as a folder (Nix src/libflake/flakeref.cc).
  if (!/^[A-Za-z][\w-]*(?:\/[\w.-]+){0,2}$/.test(flake)) return;
  const isHere = await lstat(join(flake, 'flake.nix')).then(
    () => true,
    () => false,
  );
  if (isHere)
    throw new NixmakerError(
      'usage',
      `Nix reads “${flake}” as a name in its registry; write “./${flake}” for the folder, or “flake:${flake}” for the registry entry`,
    );
}

/** Runs before Nix has copied anything. @throws NixmakerError `secret-in-flake`, `output-in-flake` */
export async function guardFlakeReference(flake: string, neighbours: FlakeNeighbours): Promise<void> {
  const folder = await plainFolderOf(flake);
  if (folder !== undefined) await guardPlainFolder(folder, neighbours);
}

/** @param folder Nix copies all of it @throws NixmakerError `secret-in-flake`, `output-in-flake` */
export async function guardPlainFolder(
  folder: string,
  { keyFile, directory }: FlakeNeighbours,
): Promise<void> {
  const flake = await realpath(folder);
  if (keyFile !== undefined && isInside(flake, await realPlace(keyFile)))
    throw new NixmakerError(
      'secret-in-flake',
      `${keyFile} lies in ${flake}, and Nix copies that whole folder`,
    );
  if (isInside(flake, await realPlace(directory)))
    throw new NixmakerError(
      'output-in-flake',
      `${directory} lies in ${flake}, and Nix copies that whole folder`,
    );
}

/**
 * The folder a reference means, if Nix takes everything in it: `path:`, or a path with no git repository around it (Nix
 * src/libflake/flakeref.cc). Undefined for everything else, and if there is no flake at all: Nix’s own error is better.
 */
async function plainFolderOf(flake: string): Promise<string | undefined> {
  const [path = '', isPlain] = flake.startsWith('path:')
    ? [decoded(flake.slice('path:'.length)), true]
    : [/^[./]/.test(flake) ? decoded(flake) : undefined, false];
  if (path === '') return undefined;
  const named = await realpath(path).catch(() => undefined);
  if (named === undefined || isPlain) return named;
  const root = await firstAbove(named, 'flake.nix');
  return root === undefined || (await firstAbove(root, '.git')) !== undefined ? undefined : root;
}

function decoded(reference: string): string | undefined {
  try {
    return decodeURIComponent(reference.replace(/\?.*$/s, ''));
  } catch {
    return undefined;
  }
}

async function firstAbove(folder: string, name: string): Promise<string | undefined> {
  const found = await lstat(join(folder, name)).catch(() => undefined);
  if (found !== undefined) return folder;
  return dirname(folder) === folder ? undefined : firstAbove(dirname(folder), name);
}

/** For a path that may not exist yet: resolves as much as exists, then appends the rest by name. */
async function realPlace(path: string): Promise<string> {
  const whole = resolve(path);
  const real = await realpath(whole).catch(ifMissing(undefined));
  if (real !== undefined || dirname(whole) === whole) return real ?? whole;
  return join(await realPlace(dirname(whole)), relative(dirname(whole), whole));
}

const isInside = (folder: string, path: string): boolean =>
  path === folder || path.startsWith(folder === sep ? sep : `${folder}${sep}`);

/** Larger files can’t be our keys: 64 bytes in base 64 with a name, or an age identity with its comments. */
const mostKeyBytes = 4096;
const secretPatterns: readonly RegExp[] = [
  // Nix’s secret keys (nix-key.ts) are 64 bytes; public keys are 32.
  /^[\w.+-]+:[A-Za-z0-9+/]{86}==\s*$/m,
  /^AGE-SECRET-KEY-1[A-Z0-9]{50,}\s*$/m,
];

/** @param source the flake as Nix took it @throws NixmakerError `secret-in-flake` */
export async function guardSource(source: string): Promise<void> {
  // If Nix has its store elsewhere, there is nothing to look at.
  const entries = await readdir(source, { recursive: true, withFileTypes: true }).catch(ifMissing([]));
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    if ((await lstat(path)).size > mostKeyBytes) continue;
    const text = await readFile(path, 'latin1');
    if (secretPatterns.some((pattern) => pattern.test(text)))
      throw new NixmakerError(
        'secret-in-flake',
        `${printable(relative(source, path))} in the flake contains a secret key`,
      );
  }
}
