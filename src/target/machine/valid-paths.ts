/**
 * Valid paths count where they are what the manifest says, or where root has compared them with an earlier manifest and signed them
 * with the machine’s store key since: a path can be built to other contents each time, and then the one that came first stays.
 *
 * Threat: a local user, or an agent that was taken over, and one stolen key of several. Whatever Nix takes under that key’s word is
 * valid, and no import touches it again; without this it would be activated under a threshold that it never met.
 */
import type { Manifest, PathInfo } from '../../core/bundle/manifest.ts';
import { differenceOf } from '../../core/bundle/store-difference.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { StorePath } from '../../core/store-path.ts';
import { queryValidInfos, type ValidInfo } from '../../nix/valid-info.ts';
import type { PublicKey } from '../../signing/nix-key.ts';
import { isPathSigned } from '../../signing/path-signature.ts';
import type { Machine } from './machine.ts';
import { readStorePublicKey } from './store-public-key.ts';

type Store = Pick<Machine, 'nix' | 'floorDirectory'>;

export interface Difference {
  readonly path: StorePath;
  /** For people. */
  readonly what: string;
}

export interface SamePath {
  readonly info: PathInfo;
  /** That Nix’s database has of it: genuine ones, and whatever anybody has added. */
  readonly signatures: readonly string[];
}

export interface Comparison {
  /** Not valid. */
  readonly missing: readonly StorePath[];
  readonly differing: readonly Difference[];
  /** As signed in the manifest. */
  readonly same: readonly SamePath[];
}

/** Compares every path of the manifest with Nix’s database, over one connection. */
export async function comparePaths(machine: Store, { paths }: Pick<Manifest, 'paths'>): Promise<Comparison> {
  const [stored, key] = await Promise.all([
    queryValidInfos(
      machine.nix,
      paths.map((p) => p.path),
    ),
    readStorePublicKey(machine),
  ]);
  const missing: StorePath[] = [];
  const differing: Difference[] = [];
  const same: SamePath[] = [];
  for (const signed of paths) {
    const info = stored.get(signed.path);
    if (info === undefined) {
      missing.push(signed.path);
      continue;
    }
    const what = differenceOf(signed, info);
    if (what === undefined) same.push({ info: signed, signatures: info.signatures });
    else if (key === undefined || !isSigned(signed.path, info, key))
      differing.push({ path: signed.path, what });
  }
  return { missing, differing, same };
}

/** By the machine’s store key, over what is there now. */
const isSigned = (path: StorePath, info: ValidInfo, key: PublicKey): boolean =>
  isPathSigned({ ...info, path, references: info.references as StorePath[] }, key, info.signatures);

/** @throws NixmakerError `closure-incomplete`, `store-differs` */
export function requireNoDifference({ missing, differing }: Comparison): void {
  if (differing.length > 0) throw storeDiffers(differing);
  const [first] = missing;
  if (first !== undefined) throw new NixmakerError('closure-incomplete', `${first} is not in the store`);
}

/** Names the first few. */
export function storeDiffers(differing: readonly Difference[]): NixmakerError {
  const named = differing.slice(0, 3).map(({ path, what }) => `${path} (${what})`);
  const more = differing.length > 3 ? ` and ${differing.length - 3} more` : '';
  return new NixmakerError('store-differs', `not what was signed: ${named.join(', ')}${more}`);
}
