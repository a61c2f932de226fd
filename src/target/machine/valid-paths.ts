/**
 * Valid paths count if they are what the manifest says, or if root has compared them with an earlier manifest and has since signed them
 * with the machine’s store key: a path may build to different contents each time, and the first one to arrive stays.
 *
 * Threat: a local user, or a compromised agent, with one stolen key of several. Whatever Nix accepts on that key’s word is valid, and no
 * import touches it again; without this check it would be activated under a threshold that it never met.
 */
import { differenceOf } from '../../core/bundle/store-difference.ts';
import { NixmakerError } from '../../core/errors.ts';
import type { ReleaseIndex } from '../../core/release/index-file.ts';
import type { PathInfo } from '../../core/release/path-info.ts';
import type { StorePath } from '../../core/store-path.ts';
import { findLost, type Lost } from '../../nix/lost.ts';
import {
  mostSignatures,
  queryClosures,
  type SignatureFilter,
  type ValidInfo,
  withValidInfos,
} from '../../nix/valid-info.ts';
import type { PublicKey } from '../../signing/nix-key.ts';
import { isPathSigned } from '../../signing/path-signature.ts';
import type { Machine } from './machine.ts';
import { readStorePublicKey } from './store-public-key.ts';

export interface Difference {
  readonly path: StorePath;
  /** In words for people. */
  readonly what: string;
}

export interface Comparison {
  /** Lines of the index whose paths are not valid. */
  readonly missing: readonly number[];
  readonly differing: readonly Difference[];
  /** Valid, and files are missing, whatever the database says about them. */
  readonly lost: readonly Difference[];
}

/**
 * How a path that differs from what was signed can still count: with a signature by the machine’s store key over what is there. Root has
 * the key and knows the one signature that matches; the agent has to check everything under the key’s name.
 */
export interface Recognition {
  readonly wanted: SignatureFilter;
  /** For a path that differs. @param signatures the ones expected */
  readonly counts: (path: StorePath, stored: ValidInfo) => boolean;
}

/** Called for each path that is as signed. @param signatures the ones expected */
export type OnSame = (info: PathInfo, signatures: readonly string[]) => void;

/** Lines examined in one batch: an index may have two hundred thousand, each with thousands of signatures. */
const portion = 256;

/** With only the public half of the store key. */
export async function recognizeByPublicKey(machine: Pick<Machine, 'floorDirectory'>): Promise<Recognition> {
  const key = await readStorePublicKey(machine);
  if (key === undefined) return { wanted: () => () => false, counts: () => false };
  const prefix = `${key.name}:`;
  return {
    wanted: () => (signature) => signature.startsWith(prefix),
    // So many that the genuine one may be further on: root has the last word.
    counts: (path, stored) => stored.signatures.length === mostSignatures || isSigned(path, stored, key),
  };
}

/** Compares every path of the index with Nix’s database, over one connection, and looks whether its files are there. */
export async function comparePaths(
  machine: Pick<Machine, 'nix'>,
  index: ReleaseIndex,
  { wanted, counts, onSame = () => undefined }: Recognition & { readonly onSame?: OnSame },
): Promise<Comparison> {
  const missing: number[] = [];
  const differing: Difference[] = [];
  const lost: Difference[] = [];
  const compare = (line: number, stored: ValidInfo | undefined) => {
    if (stored === undefined) {
      missing.push(line);
      return;
    }
    const signed = index.info(line);
    const what = differenceOf(signed, stored);
    if (what === undefined) onSame(signed, stored.signatures);
    else if (!counts(signed.path, stored)) differing.push({ path: signed.path, what });
  };
  await withValidInfos(
    machine.nix,
    async (query) => {
      for (let start = 0; start < index.length; start += portion) {
        const lines = Array.from({ length: Math.min(portion, index.length - start) }, (_, i) => start + i);
        const paths = lines.map((line) => index.path(line));
        const stored = await query(paths);
        const gone = await findLost(machine.nix, stored.keys(), { infosOf: async () => stored });
        lost.push(...differencesOf(gone));
        for (const [i, line] of lines.entries())
          if (!gone.has(paths[i] as StorePath)) compare(line, stored.get(paths[i] as StorePath));
      }
    },
    wanted,
  );
  return { missing, differing, lost };
}

/** What was built or fetched here: no index lists it. @throws NixmakerError `store-corrupt` */
export async function requireWholeClosure({ nix }: Pick<Machine, 'nix'>, root: StorePath): Promise<void> {
  const { infos } = await queryClosures(nix, [root]);
  const lost = await findLost(nix, infos.keys(), { infosOf: async () => infos });
  requireAsSigned({ differing: [], lost: differencesOf(lost) });
}

const differencesOf = (lost: ReadonlyMap<StorePath, Lost>): Difference[] =>
  Array.from(lost, ([path, how]) => ({ path, what: lostTexts[how] }));

const lostTexts: Readonly<Record<Lost, string>> = {
  gone: 'its files are gone',
  torn: 'not all of its files can be read',
};

/** Signed by the machine’s store key, over what is there now. */
const isSigned = (path: StorePath, info: ValidInfo, key: PublicKey): boolean =>
  isPathSigned({ ...info, path, references: info.references as StorePath[] }, key, info.signatures);

/** @throws NixmakerError `closure-incomplete`, `store-corrupt`, `store-differs` */
export function requireNoDifference({ missing, ...others }: Comparison, index: ReleaseIndex): void {
  requireAsSigned(others);
  const [first] = missing;
  if (first !== undefined)
    throw new NixmakerError('closure-incomplete', `${index.path(first)} is not in the store`);
}

/** Names the first few. @throws NixmakerError `store-differs`, `store-corrupt` */
export function requireAsSigned({ differing, lost }: Pick<Comparison, 'differing' | 'lost'>): void {
  if (differing.length > 0)
    throw new NixmakerError('store-differs', `not what was signed: ${namesOf(differing)}`);
  if (lost.length > 0)
    throw new NixmakerError('store-corrupt', `valid for Nix, but not whole: ${namesOf(lost)}`);
}

function namesOf(paths: readonly Difference[]): string {
  const named = paths.slice(0, 3).map(({ path, what }) => `${path} (${what})`);
  return `${named.join(', ')}${paths.length > 3 ? ` and ${paths.length - 3} more` : ''}`;
}
