/** The system profile and its generations. */
import { readdir, readlink } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { insteadOf } from '../core/errno.ts';
import { parseStorePath, type StorePath } from '../core/store-path.ts';
import { legacyNix, type NixContext } from './command.ts';

/** Points the profile at a system, as nixos-rebuild does; a new generation unless it already is the newest. */
export async function setProfile(
  context: NixContext,
  { profile, toplevel }: { profile: string; toplevel: StorePath },
): Promise<void> {
  await nixEnv(context, profile, ['--set', toplevel]);
}

/** Goes to the generation with that number, not to “the previous”: others may have been made in between. */
export async function switchGeneration(
  context: NixContext,
  { profile, generation }: { profile: string; generation: number },
): Promise<void> {
  await nixEnv(context, profile, ['--switch-generation', String(generation)]);
}

export async function deleteGeneration(
  context: NixContext,
  { profile, generation }: { profile: string; generation: number },
): Promise<void> {
  await nixEnv(context, profile, ['--delete-generations', String(generation)]);
}

/** The same for several. Nix deletes none of them if the present one is among them (Nix src/libstore/profiles.cc, deleteGenerations). */
export async function deleteGenerations(
  context: NixContext,
  { profile, generations }: { profile: string; generations: readonly number[] },
): Promise<void> {
  await nixEnv(context, profile, ['--delete-generations', ...generations.map(String)]);
}

async function nixEnv(context: NixContext, profile: string, args: readonly string[]): Promise<void> {
  await legacyNix(context, { program: 'nix-env', args: ['--profile', profile, ...args] });
}

export interface ProfileTarget {
  readonly generation: number | undefined;
  readonly toplevel: StorePath | undefined;
}

/**
 * Where the profile points: `system` → `system-42-link` → the system. A plain link into the store has no generation. Empty on a machine
 * that has none yet.
 */
export async function readProfile(profile: string): Promise<ProfileTarget> {
  const link = await readLink(profile);
  if (link === undefined) return { generation: undefined, toplevel: undefined };
  const generation = /-(\d+)-link$/.exec(link)?.[1];
  const absolute = link.startsWith('/') ? link : `${profile.slice(0, profile.lastIndexOf('/'))}/${link}`;
  return {
    generation: generation === undefined ? undefined : Number(generation),
    toplevel: parseStorePath(absolute) ?? parseStorePath((await readLink(absolute)) ?? ''),
  };
}

/** The existing generations, by number. */
export async function listGenerations(profile: string): Promise<Map<number, StorePath>> {
  const folder = dirname(profile);
  const generations = new Map<number, StorePath>();
  for (const name of await readdir(folder)) {
    const [, stem, number] = /^(.*)-(\d+)-link$/.exec(name) ?? [];
    if (stem !== basename(profile)) continue;
    const toplevel = parseStorePath((await readLink(join(folder, name))) ?? '');
    if (toplevel !== undefined) generations.set(Number(number), toplevel);
  }
  return generations;
}

/** Its number; 0 if there is none. Numbers are not reused while a later generation exists. */
export async function newestGeneration(profile: string): Promise<number> {
  const generations = await listGenerations(profile).catch(insteadOf(['ENOENT', 'ENOTDIR'], undefined));
  return Math.max(0, ...(generations?.keys() ?? []));
}

/** The system that a link like /run/current-system points to. */
export async function readSystemLink(path: string): Promise<StorePath | undefined> {
  return parseStorePath((await readLink(path)) ?? '');
}

/** Undefined if there is none, or it is not a link. */
const readLink = (path: string): Promise<string | undefined> =>
  readlink(path).catch(insteadOf(['ENOENT', 'EINVAL', 'ENOTDIR'], undefined));
