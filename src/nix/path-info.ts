/** What Nix has noted of valid paths. */

import * as z from 'zod';
import type { PathInfo } from '../core/bundle/manifest.ts';
import { NixmakerError } from '../core/errors.ts';
import { given } from '../core/given.ts';
import { encodeNix32 } from '../core/nix32.ts';
import { parseStorePath, type StorePath } from '../core/store-path.ts';
import { legacyNix, type NixContext, nix } from './command.ts';

/** A command line has an end. */
const portion = 1000;

async function query(context: NixContext, what: string, paths: readonly StorePath[]): Promise<string[]> {
  const lines: string[] = [];
  for (let start = 0; start < paths.length; start += portion) {
    const args = ['--query', what, ...paths.slice(start, start + portion)];
    const out = await legacyNix(context, { program: 'nix-store', args });
    lines.push(...out.split('\n').filter((line) => line !== ''));
  }
  return lines;
}

/** In the paths’ order: `sha256:` and base 32, as narinfos have it. */
export const narHashesOf = (context: NixContext, paths: readonly StorePath[]): Promise<string[]> =>
  query(context, '--hash', paths);

/** In the paths’ order, in bytes. */
export const narSizesOf = async (context: NixContext, paths: readonly StorePath[]): Promise<number[]> =>
  (await query(context, '--size', paths)).map(Number);

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

/** A valid path and all that it refers to, as Nix has noted them. @throws NixmakerError `nix-failed` */
export async function queryClosure(context: NixContext, root: StorePath): Promise<PathInfo[]> {
  const text = await nix(context, ['path-info', '--json', '--recursive', root]);
  const noted = pathInfos.safeParse(JSON.parse(text));
  if (!noted.success) throw new NixmakerError('nix-failed', 'what `nix path-info` says is not understood');
  return Object.entries(noted.data).map(([path, { narHash, narSize, references, ca }]) => ({
    path: storePathOf(path),
    narHash: `sha256:${encodeNix32(Buffer.from(narHash.slice('sha256-'.length), 'base64'))}`,
    narSize,
    references: references.map(storePathOf).sort(),
    ...given({ ca: ca ?? undefined }),
  }));
}

function storePathOf(text: string): StorePath {
  const path = parseStorePath(text);
  if (path === undefined) throw new NixmakerError('nix-failed', `“${text}” is not a store path`);
  return path;
}
