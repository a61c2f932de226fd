/** Which Nix this is, how it is set, and whether it answers. */
import * as z from 'zod';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import { legacyNix, type NixContext, nix } from './command.ts';

/**
 * Asked once for each way of starting programs, that is once a process: it is the same for as long as the machine lives, and contexts
 * that differ in their store or their signal have one Nix.
 */
const systems = new WeakMap<NixContext['run'], string>();

/** The system this Nix builds for, `x86_64-linux`; also tells whether Nix can be started at all. */
export async function currentSystem(context: NixContext): Promise<string> {
  const known = systems.get(context.run);
  if (known !== undefined) return known;
  const system = await nixSetting(context, 'system');
  systems.set(context.run, system);
  return system;
}

/** What Nix says of itself: `nix-store (Nix) 2.34.8`. */
export async function nixVersion(context: NixContext): Promise<string> {
  const { store: _, ...local } = context;
  return (await legacyNix(local, { program: 'nix-store', args: ['--version'] })).trim();
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new NixmakerError('nix-unavailable', 'unexpected output from `nix store info`', { cause });
  }
}

/** Lix has it by the older name only (lix/nix/ping-store.cc). */
async function askStore(context: NixContext, more: readonly string[] = []): Promise<string> {
  const ask = (verb: string) => nix(context, ['store', verb, ...more], { failure: 'nix-unavailable' });
  try {
    return await ask('info');
  } catch (error) {
    if (!/is not a recognised command/.test(messageOf(error))) throw error;
    return ask('ping');
  }
}

const storeInfo = z.looseObject({ version: z.string().optional() });

/**
 * Whether the store answers, and its Nix is new enough: asked in one. A store that is no daemon’s has no version of its own.
 * @throws NixmakerError `nix-unavailable`, `nix-too-old`
 */
export async function requireNix(context: NixContext): Promise<void> {
  const text = await askStore(context, ['--json']);
  const said = storeInfo.safeParse(jsonOf(text)).data?.version;
  const version = said ?? (await nixVersion(context));
  if (isRecentNix(version)) return;
  const oldest = limits.oldestNix.join('.');
  throw new NixmakerError('nix-too-old', `it says “${version}”; ${oldest} or newer is required`);
}

/**
 * @param version what `nix-store --version` says: `nix-store (Nix) 2.34.8`, `nix-store (Determinate Nix 3.4.1) 2.28.2`; or the number alone.
 * Others than Nix have a number of their own in brackets
 */
export function isRecentNix(version: string): boolean {
  const [, major, minor] = /(?:^|\) )(\d+)\.(\d+)/.exec(version) ?? [];
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
  await askStore(context);
}
