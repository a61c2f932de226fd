/** Which Nix this is, how it is configured, and whether it answers. */
import { messageOf, NixmakerError } from '../core/errors.ts';
import { given } from '../core/given.ts';
import { limits } from '../core/limits.ts';
import * as z from '../core/zod.ts';
import { legacyNix, type NixContext, nix } from './command.ts';
import { type Opened, openDaemon, withDaemon } from './open-daemon.ts';

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

/** By programs. A store without a daemon has no version of its own. */
async function askVersion(context: NixContext): Promise<string> {
  const text = await askStore(context, ['--json']);
  return storeInfo.safeParse(jsonOf(text)).data?.version ?? nixVersion(context);
}

/**
 * What its daemon says first to whoever connects.
 * @returns undefined if there is none, or it can’t be had, which programs then say in words for people; `version` if it says none
 */
async function greetingOf({ daemonSocket, open }: NixContext): Promise<{ version?: string } | undefined> {
  if (daemonSocket === undefined) return undefined;
  try {
    return await withDaemon({ daemonSocket, open }, async ({ nixVersion }) => given({ version: nixVersion }));
  } catch (error) {
    if (error instanceof NixmakerError) return undefined;
    throw error;
  }
}

/**
 * Whether the store answers and its Nix is new enough, in one question.
 * @throws NixmakerError `nix-unavailable`, `nix-too-old`
 */
export async function requireNix(context: NixContext): Promise<void> {
  const version = (await greetingOf(context))?.version ?? (await askVersion(context));
  if (isRecentNix(version)) return;
  const oldest = limits.oldestNix.join('.');
  throw new NixmakerError('nix-too-old', `it says “${version}”; ${oldest} or newer is required`);
}

/** The same, with a connection for what is asked next. @throws NixmakerError `nix-unavailable`, `nix-too-old` */
export async function openRecentNix(context: NixContext): Promise<Opened<NixContext>> {
  const opened = await openDaemon(context).catch(async (error: unknown) => {
    await requireNix(context);
    throw error;
  });
  try {
    await requireNix(opened.nix);
    return opened;
  } catch (error) {
    opened.close();
    throw error;
  }
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

/** `nix config show --json` of Nix 2.24 to 2.34, and of Lix. */
const shown = z.record(z.string(), z.looseObject({ value: z.unknown() }));

/** As Nix prints it without `--json`; undefined for what no setting of ours is. */
function textOf(value: unknown): string | undefined {
  if (Array.isArray(value)) return value.join(' ');
  return ['string', 'number', 'boolean'].includes(typeof value) ? String(value).trim() : undefined;
}

/** Those that it knows; none if it says something else. @throws NixmakerError `nix-unavailable` */
async function askAll(context: NixContext): Promise<ReadonlyMap<string, string>> {
  try {
    const found = shown.parse(JSON.parse(await showConfig(context, '--json')));
    return new Map(
      Object.entries(found).flatMap(([name, { value }]) => {
        const text = textOf(value);
        return text === undefined ? [] : [[name, text] as const];
      }),
    );
  } catch (error) {
    if (error instanceof NixmakerError && error.code === 'nix-unavailable') throw error;
    return new Map();
  }
}

async function showConfig(context: NixContext, asked: string): Promise<string> {
  const { store: _, ...local } = context;
  return nix(local, ['config', 'show', asked]);
}

/** A setting in Nix’s configuration, as Nix prints it: `true`, a list. */
export async function nixSetting(context: NixContext, name: string): Promise<string> {
  const { settings } = context;
  if (settings !== undefined) {
    settings.all ??= askAll(context);
    const known = (await settings.all).get(name);
    if (known !== undefined) return known;
  }
  return (await showConfig(context, name)).trim();
}

/** The public keys whose signatures Nix accepts, in its text form, from its own configuration. */
export async function trustedKeysOf(context: NixContext): Promise<string[]> {
  return (await nixSetting(context, 'trusted-public-keys')).split(/\s+/).filter((key) => key !== '');
}

/** @throws NixmakerError `nix-unavailable` if the store does not answer */
export async function pingStore(context: NixContext): Promise<void> {
  if ((await greetingOf(context)) === undefined) await askStore(context);
}
