/**
 * Store paths as types that only parsing can make.
 * Rules after Nix `src/libstore/path.cc` (checkName) and `src/libutil/include/nix/util/base-nix-32.hh`.
 */
declare const storePathBrand: unique symbol;
declare const drvPathBrand: unique symbol;

/** `/nix/store/<32 characters>-<name>`; never a file below one. */
export type StorePath = string & { readonly [storePathBrand]: true };
/** A store path that is a derivation. */
export type DrvPath = StorePath & { readonly [drvPathBrand]: true };

export const storeDir = '/nix/store';
/** Nix's base-32 alphabet: no e, o, u, t. */
export const nix32 = '0123456789abcdfghijklmnpqrsvwxyz';

const baseName = /^[0-9abcdfghijklmnpqrsvwxyz]{32}-([0-9a-zA-Z+\-._?=]{1,211})$/;

/** The path, or undefined if `text` isn’t one. */
export function parseStorePath(text: string): StorePath | undefined {
  if (!text.startsWith(`${storeDir}/`)) return undefined;
  return isBaseName(text.slice(storeDir.length + 1)) ? (text as StorePath) : undefined;
}

/** The store paths in a text with one per line; other lines are skipped. */
export function parseStorePathLines(text: string): StorePath[] {
  return text.split('\n').flatMap((line) => parseStorePath(line) ?? []);
}

/** The path of a derivation, or undefined if `text` isn’t one. */
export function parseDrvPath(text: string): DrvPath | undefined {
  return text.endsWith('.drv') ? (parseStorePath(text) as DrvPath | undefined) : undefined;
}

/** From the form in which narinfos list references: the path without the store folder. */
export function fromBaseName(name: string): StorePath | undefined {
  return parseStorePath(`${storeDir}/${name}`);
}

export function toBaseName(path: StorePath): string {
  return path.slice(storeDir.length + 1);
}

/** The 32 characters that name a path in a binary cache. */
export function hashPart(path: StorePath): string {
  return path.slice(storeDir.length + 1, storeDir.length + 33);
}

/** The name after the hash, `nixos-system-web-26.05`. */
export function nameOf(path: StorePath): string {
  return path.slice(storeDir.length + 34);
}

/** Whether it is what follows the store folder in a store path. */
export function isBaseName(text: string): boolean {
  const name = baseName.exec(text)?.[1];
  if (name === undefined) return false;
  // "." and ".." are not names, even when followed by a dash.
  return name !== '.' && name !== '..' && !name.startsWith('.-') && !name.startsWith('..-');
}
