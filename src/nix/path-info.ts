/** What Nix’s database holds about valid paths. */
import * as z from 'zod';
import { NixmakerError } from '../core/errors.ts';
import { given } from '../core/given.ts';
import { encodeNix32 } from '../core/nix32.ts';
import type { PathInfo } from '../core/release/path-info.ts';
import { parseStorePath, type StorePath, storeDir } from '../core/store-path.ts';
import { type NixContext, nix, queryStore } from './command.ts';

/** In the order of the paths: `sha256:` and base 32, as in narinfos. */
export const narHashesOf = (context: NixContext, paths: readonly StorePath[]): Promise<string[]> =>
  queryStore(context, ['--query', '--hash'], paths);

/** In the order of the paths, in bytes. */
export const narSizesOf = async (context: NixContext, paths: readonly StorePath[]): Promise<number[]> =>
  (await queryStore(context, ['--query', '--size'], paths)).map(Number);

/** `nix path-info --json` of Nix 2.24 to 2.34; the hash is `sha256-` and base 64 (SRI). */
const pathInfos = z.record(
  z.string(),
  z.looseObject({
    narHash: z.string().startsWith('sha256-'),
    narSize: z.number().int().min(0),
    references: z.array(z.string()),
    ca: z.string().nullish(),
  }),
);

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

/** A valid path and everything it refers to, according to Nix’s database. @throws NixmakerError `nix-failed` */
export async function queryClosure(context: NixContext, root: StorePath): Promise<PathInfo[]> {
  const text = await pathInfoJson(context, ['--recursive', root]);
  const parsed = pathInfos.safeParse(JSON.parse(text));
  if (!parsed.success) throw new NixmakerError('nix-failed', 'unexpected output from `nix path-info`');
  return Object.entries(parsed.data).map(([path, { narHash, narSize, references, ca }]) => ({
    path: storePathOf(path),
    narHash: `sha256:${encodeNix32(Buffer.from(narHash.slice('sha256-'.length), 'base64'))}`,
    narSize,
    references: references.map(storePathOf).sort(),
    ...given({ ca: ca ?? undefined }),
  }));
}

/** registrationTime, in seconds since 1970, by path; `nix path-info --json` of Nix 2.24 to 2.34. */
const registrations = z.record(
  z.string(),
  z.looseObject({ registrationTime: z.number().nullish() }).nullable(),
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

function storePathOf(text: string): StorePath {
  const path = parseStorePath(text);
  if (path === undefined) throw new NixmakerError('nix-failed', `“${text}” is not a store path`);
  return path;
}
