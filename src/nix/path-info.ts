/** What Nix’s database holds about valid paths. */
import { NixmakerError } from '../core/errors.ts';
import { parseStorePath, type StorePath, storeDir } from '../core/store-path.ts';
import * as z from '../core/zod.ts';
import { type NixContext, nix, queryStore } from './command.ts';

/** In the order of the paths: `sha256:` and base 32, as in narinfos. */
export const narHashesOf = (context: NixContext, paths: readonly StorePath[]): Promise<string[]> =>
  queryStore(context, ['--query', '--hash'], paths);

/** In the order of the paths, in bytes. */
export const narSizesOf = async (context: NixContext, paths: readonly StorePath[]): Promise<number[]> =>
  (await queryStore(context, ['--query', '--size'], paths)).map(Number);

let knowsFormats = true;

/**
 * `nix path-info --json`, in its first format. Nix 2.34 wants to be told which, and warns that newer versions will insist; Nix before 2.33
 * does not know the flag, and has no other format.
 */
export async function pathInfoJson(context: NixContext, args: readonly string[]): Promise<string> {
  if (knowsFormats) {
    try {
      return await nix(context, ['path-info', '--json', '--json-format', '1', ...args]);
    } catch (error) {
      if (!/^unrecognised flag '--json-format'/.test(error instanceof NixmakerError ? error.detail : ''))
        throw error;
      knowsFormats = false;
    }
  }
  return nix(context, ['path-info', '--json', ...args]);
}

/** registrationTime, in seconds since 1970, by path; `nix path-info --json` of Nix 2.24 to 2.34. */
const registrations = z.record(
  z.string(),
  z.nullable(z.looseObject({ registrationTime: z.nullish(z.number()) })),
);

/** Paths that became valid at that time or later, in seconds since 1970; also those whose time is unknown. */
export async function listRegisteredSince(context: NixContext, seconds: number): Promise<StorePath[]> {
  const registered = registrations.parse(JSON.parse(await pathInfoJson(context, ['--all'])));
  return Object.entries(registered).flatMap(([key, info]) => {
    const path = parseStorePath(key) ?? parseStorePath(`${storeDir}/${key}`);
    const time = info?.registrationTime ?? undefined;
    return path === undefined || (time !== undefined && time < seconds) ? [] : [path];
  });
}
