/** Which Nix this is, how it is configured, and whether it answers. */

import { messageOf, NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import * as z from '../core/zod.ts';
import { legacyNix, type NixContext, nix } from './command.ts';

/**
 * Asked once for each way of starting programs, which means once per process: it does not change while the machine is up, and contexts that
 * differ in their store or signal share one Nix.
 */
const systems = new WeakMap<NixContext['run'], string>();

/** The system this Nix builds for, `x86_64-linux`; also shows whether Nix can be started at all. */
export async function currentSystem(context: NixContext): Promise<string> {
  const known = systems.get(context.run);
  if (known !== undefined) return known;
  const system = await nixSetting(context, 'system');
  systems.set(context.run, system);
  return system;
}

/** Nix’s own version line: `nix-store (Nix) 2.34.8`. */
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

/** Lix has it only under the older name (lix/nix/ping-store.cc). */
async function askStore(context: NixContext, more: readonly string[] = []): Promise<string> {
  const ask = (verb: string) => nix(context, ['store', verb, ...more], { failure: 'nix-unavailable' });
  try {
    return await ask('info');
  } catch (error) {
    if (!/is not a recognised command/.test(messageOf(error))) throw error;
    return ask('ping');
  }
}

const storeInfo = z.looseObject({ version: z.optional(z.string()) });

/**
 * Whether the store answers and its Nix is new enough, in one question. A store without a daemon has no version of its own.
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
 * @param version the output of `nix-store --version`: `nix-store (Nix) 2.34.8`, `nix-store (Determinate Nix 3.4.1) 2.28.2`; or just the
 * number. Distributions other than Nix put their own number in brackets
 */
export function isRecentNix(version: string): boolean {
  const [, major, minor] = /(?:^|\) )(\d+)\.(\d+)/.exec(version) ?? [];
  if (major === undefined) return false;
  const [oldestMajor, oldestMinor] = limits.oldestNix;
  return Number(major) > oldestMajor || (Number(major) === oldestMajor && Number(minor) >= oldestMinor);
}

/** A setting in Nix’s configuration, as Nix prints it: `true`, a list. */
export async function nixSetting(context: NixContext, name: string): Promise<string> {
  const { store: _, ...local } = context;
  return (await nix(local, ['config', 'show', name])).trim();
}

/** The public keys whose signatures Nix accepts, in its text form, from its own configuration. */
export async function trustedKeysOf(context: NixContext): Promise<string[]> {
  return (await nixSetting(context, 'trusted-public-keys')).split(/\s+/).filter((key) => key !== '');
}

/** @throws NixmakerError `nix-unavailable` if the store does not answer */
export async function pingStore(context: NixContext): Promise<void> {
  await askStore(context);
}
