/** The target's half of Nix: importing, realising, rooting. The system profile is in profile.ts. */
import { rename, rm, symlink } from 'node:fs/promises';
import * as z from 'zod';
import { NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { RealiseMode } from '../core/policy/policy.ts';
import { type DrvPath, parseStorePath, type StorePath, storeDir } from '../core/store-path.ts';
import { encodePath } from './build.ts';
import { legacyNix, type NixContext, type NixOptions, nix } from './command.ts';
import { parsePlan } from './plan.ts';

type Progress = Pick<NixOptions, 'onProgress'>;

/** The system this Nix builds for, `x86_64-linux`; also tells whether Nix can be started at all. */
export async function currentSystem(context: NixContext): Promise<string> {
  const { store: _, ...local } = context;
  return (await nix(local, ['config', 'show', 'system'])).trim();
}

/** What Nix says of itself: `nix-store (Nix) 2.34.8`. */
export async function nixVersion(context: NixContext): Promise<string> {
  const { store: _, ...local } = context;
  return (await legacyNix(local, { program: 'nix-store', args: ['--version'] })).trim();
}

/** @throws NixmakerError `nix-too-old` */
export async function requireRecentNix(context: NixContext): Promise<void> {
  const version = await nixVersion(context);
  if (!isRecentNix(version)) {
    const oldest = limits.oldestNix.join('.');
    throw new NixmakerError('nix-too-old', `it says “${version}”, and ${oldest} is needed`);
  }
}

/** @param version what `nix-store --version` says: `nix-store (Nix) 2.34.8` */
export function isRecentNix(version: string): boolean {
  const [, major, minor] = /(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined) return false;
  const [oldestMajor, oldestMinor] = limits.oldestNix;
  return Number(major) > oldestMajor || (Number(major) === oldestMajor && Number(minor) >= oldestMinor);
}

/** A setting as Nix's configuration has it, in its words: `true`, a list. */
export async function nixSetting(context: NixContext, name: string): Promise<string> {
  const { store: _, ...local } = context;
  return (await nix(local, ['config', 'show', name])).trim();
}

/** The public keys whose signatures Nix takes, in its text form, as its own configuration has them. */
export async function trustedKeysOf(context: NixContext): Promise<string[]> {
  return (await nixSetting(context, 'trusted-public-keys')).split(/\s+/).filter((key) => key !== '');
}

/** @throws NixmakerError `nix-unavailable` where the store does not answer */
export async function pingStore(context: NixContext): Promise<void> {
  await nix(context, ['store', 'info'], { failure: 'nix-unavailable' });
}

export async function isValid(context: NixContext, path: StorePath): Promise<boolean> {
  try {
    await legacyNix(context, { program: 'nix-store', args: ['--check-validity', path] });
    return true;
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'nix-failed') return false;
    throw error;
  }
}

/** Where the store's files are: a store given as a folder keeps them below it. */
export function storeFolder({ store }: NixContext): string {
  return store?.startsWith('/') === true ? `${store}${storeDir}` : storeDir;
}

/** Those of the paths that are not valid yet; asked in portions, for a command line has an end. */
export async function findInvalid(context: NixContext, paths: readonly StorePath[]): Promise<StorePath[]> {
  const invalid: StorePath[] = [];
  const portion = 1000;
  for (let start = 0; start < paths.length; start += portion) {
    const args = ['--check-validity', '--print-invalid', ...paths.slice(start, start + portion)];
    const out = await legacyNix(context, { program: 'nix-store', args });
    invalid.push(...out.split('\n').flatMap((line) => parseStorePath(line) ?? []));
  }
  return invalid;
}

/** Those of the valid paths whose contents are not what they were when they became valid. */
export async function findModified(context: NixContext, paths: readonly StorePath[]): Promise<StorePath[]> {
  if (paths.length === 0) return [];
  const most = 500;
  try {
    if (paths.length <= most) {
      await nix(context, ['store', 'verify', '--no-trust', ...paths]);
      return [];
    }
  } catch (error) {
    if (!(error instanceof NixmakerError && error.code === 'nix-failed')) throw error;
    if (paths.length === 1) return [...paths];
  }
  // Which of them it was is told only for people: halve until one is left.
  const half = Math.ceil(paths.length / 2);
  const first = await findModified(context, paths.slice(0, half));
  return [...first, ...(await findModified(context, paths.slice(half)))];
}

/** registrationTime, in seconds since 1970, by path; `nix path-info --json` of Nix 2.24 to 2.34. */
const pathInfos = z.record(z.string(), z.looseObject({ registrationTime: z.number().nullish() }).nullable());

/** Paths that became valid at that time or later, in seconds since 1970; also those whose time is unknown. */
export async function listRegisteredSince(context: NixContext, seconds: number): Promise<StorePath[]> {
  const infos = pathInfos.parse(JSON.parse(await nix(context, ['path-info', '--json', '--all'])));
  return Object.entries(infos).flatMap(([key, info]) => {
    const path = parseStorePath(key) ?? parseStorePath(`${storeDir}/${key}`);
    const time = info?.registrationTime ?? undefined;
    return path === undefined || (time !== undefined && time < seconds) ? [] : [path];
  });
}

/** The paths and all that refers to them, directly or not: a path can't be deleted without those. */
export async function findReferrers(context: NixContext, paths: readonly StorePath[]): Promise<StorePath[]> {
  const args = ['--query', '--referrers-closure', ...paths];
  const out = await legacyNix(context, { program: 'nix-store', args });
  return [...new Set(out.split('\n').flatMap((line) => parseStorePath(line) ?? []))];
}

/** A valid path and all that it refers to, directly or not. */
export async function listClosure(context: NixContext, path: StorePath): Promise<StorePath[]> {
  const out = await legacyNix(context, { program: 'nix-store', args: ['--query', '--requisites', path] });
  return out
    .split('\n')
    .flatMap((line) => parseStorePath(line) ?? [])
    .sort();
}

/** Deletes paths that nothing needs; any client may. @throws NixmakerError `nix-failed` where something does */
export async function deletePaths(context: NixContext, paths: readonly StorePath[]): Promise<void> {
  if (paths.length > 0) await legacyNix(context, { program: 'nix-store', args: ['--delete', ...paths] });
}

/**
 * Flushes the file system that holds the store. Under Nix's defaults paths are valid in the database before their
 * contents are on disk: a power cut then leaves them valid and wrong, and importing again does not heal them, for
 * valid paths are skipped.
 */
export async function syncStore(context: NixContext): Promise<void> {
  const result = await context.run('sync', ['--file-system', storeFolder(context)]);
  if (result.exitCode !== 0) {
    throw new NixmakerError(
      'io-error',
      `the store could not be flushed: ${result.stderrTail.at(-1) ?? result.startError}`,
    );
  }
}

/**
 * Imports the closure of `path` from a binary cache, as an ordinary client: the store checks signatures against its
 * own trusted keys, whatever nixmaker has checked.
 */
export async function importFromCache(
  context: NixContext,
  { url, path }: { url: string; path: StorePath },
  options: Progress = {},
): Promise<void> {
  const once = ['download-attempts', '1'];
  const forgetful = ['narinfo-cache-positive-ttl', '0', 'narinfo-cache-negative-ttl', '0'];
  await importFrom(context, { from: url, path, settings: [...once, ...forgetful] }, options);
}

/** The same from a chroot store, the form inside a classic tarball. Only for one that was checked. */
export async function importFromChrootStore(
  context: NixContext,
  { folder, path }: { folder: string; path: StorePath },
  options: Progress = {},
): Promise<void> {
  await importFrom(context, { from: `local?root=${encodePath(folder)}`, path, settings: [] }, options);
}

/** Nothing else is asked for a substitute, and what has come is on disk when this returns. */
async function importFrom(
  context: NixContext,
  { from, path, settings }: { from: string; path: StorePath; settings: readonly string[] },
  options: Progress,
): Promise<void> {
  const args = ['copy', ...derivationFlag(path), '--from', from, '--to', context.store ?? 'auto', path];
  const { store: _, ...withoutStore } = context;
  await nix(withoutStore, [...args, ...toOptions(['substituters', '', ...settings])], options);
  await syncStore(context);
}

/** For a derivation: the recipe itself, not its outputs. For any other path the flag would mean "its deriver". */
function derivationFlag(path: StorePath): string[] {
  return path.endsWith('.drv') ? ['--derivation'] : [];
}

function toOptions(pairs: readonly string[]): string[] {
  return pairs.flatMap((value, i) => (i % 2 === 0 ? ['--option', value] : [value]));
}

/**
 * Makes `link` a garbage-collector root before there is anything to protect: an indirect root may point anywhere,
 * and takes hold when what it points to becomes valid. Registering needs a valid path once, so a derivation that is
 * never built stands in; it is made and rooted by one process, for a collection may run between any two.
 * Needs no privilege.
 */
export async function rootInAdvance(
  context: NixContext,
  { link, path }: { link: string; path: StorePath },
): Promise<void> {
  const standIn = 'derivation { name = "nixmaker-root"; system = "none"; builder = "none"; }';
  for (const stale of [link, `${link}.new`]) await rm(stale, { force: true });
  await legacyNix(context, {
    program: 'nix-instantiate',
    args: ['--add-root', link, '--indirect', '--expr', standIn],
  });
  await symlink(path, `${link}.new`);
  await rename(`${link}.new`, link);
}

/** Drops a root made by `rootInAdvance`. */
export async function dropRoot(link: string): Promise<void> {
  await rm(link, { force: true });
}

const modeOptions: Readonly<Record<RealiseMode, readonly string[]>> = {
  'never-build': ['substitute', 'false', 'max-jobs', '0'],
  substitute: ['max-jobs', '0'],
  build: [],
};

/**
 * Realises a derivation's outputs within the policy's mode. What would be needed is asked first, for Nix, told not
 * to build, answers with a line for every derivation of the closure.
 * @throws NixmakerError `missing-input`, `build-failed`
 */
export async function realise(
  context: NixContext,
  { derivation, toplevel, mode }: { derivation: DrvPath; toplevel: StorePath; mode: RealiseMode },
  options: Progress = {},
): Promise<StorePath[]> {
  const flags = toOptions(modeOptions[mode]);
  // NixOS forbids its toplevels to be substituted as outputs of a derivation (allowSubstitutes = false), but as
  // plain paths caches may supply them.
  if (mode === 'substitute') await fetchPath(context, toplevel, flags);
  const plan = parsePlan(await dryRun(context, derivation, flags));
  const unavailable = plan.unknown[0] ?? (mode === 'build' ? undefined : plan.build[0]);
  if (unavailable !== undefined) {
    const more = plan.unknown.length + (mode === 'build' ? 0 : plan.build.length) - 1;
    throw new NixmakerError(
      'missing-input',
      `${unavailable}${more > 0 ? ` and ${more} more` : ''} (policy: realise ${mode})`,
    );
  }
  const args = ['build', `${derivation}^*`, '--no-link', '--print-out-paths', ...flags];
  const out = await nix(context, args, { ...options, failure: 'build-failed' });
  return out.split('\n').flatMap((line) => parseStorePath(line) ?? []);
}

/** Fetches a path from the caches the store trusts, if one has it. */
async function fetchPath(context: NixContext, path: StorePath, flags: readonly string[]): Promise<void> {
  try {
    await legacyNix(
      context,
      { program: 'nix-store', args: ['--realise', ...flags, path] },
      { failure: 'missing-input' },
    );
  } catch (error) {
    // That no cache has it is no fault: the plan that follows names what is missing.
    if (!(error instanceof NixmakerError && error.code === 'missing-input')) throw error;
  }
}

/** What `nix-store --realise --dry-run` says; it goes to standard error, and its exit code says nothing. */
async function dryRun(context: NixContext, derivation: DrvPath, flags: readonly string[]): Promise<string[]> {
  const lines: string[] = [];
  const listening: NixContext = {
    ...context,
    run: (program, args, options) =>
      context.run(program, args, {
        ...options,
        onStderrLine: (line) => {
          lines.push(line);
          options?.onStderrLine?.(line);
        },
      }),
  };
  await legacyNix(
    listening,
    { program: 'nix-store', args: ['--realise', '--dry-run', ...flags, derivation] },
    { failure: 'missing-input' },
  );
  return lines;
}
