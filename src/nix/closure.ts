/** A closure as Nix’s database has it. */
import { NixmakerError } from '../core/errors.ts';
import { given } from '../core/given.ts';
import { encodeNix32 } from '../core/nix32.ts';
import type { PathInfo } from '../core/release/path-info.ts';
import { parseStorePath, type StorePath } from '../core/store-path.ts';
import * as z from '../core/zod.ts';
import type { NixContext } from './command.ts';
import { pathInfoJson } from './path-info.ts';
import { gatherClosures, type ValidInfo } from './valid-info.ts';

/** `nix path-info --json` of Nix 2.24 to 2.34; the hash is `sha256-` and base 64 (SRI). */
const pathInfos = z.record(
  z.string(),
  z.looseObject({
    narHash: z.string().check(z.startsWith('sha256-')),
    narSize: z.int().check(z.gte(0)),
    references: z.array(z.string()),
    ca: z.nullish(z.string()),
  }),
);

/**
 * A valid path and everything it refers to. Of what several hosts share the kept daemon is asked once: what is built for a command is held
 * until its end, and a NAR that is not as Nix had it then is not packed (desk/build/compress.ts).
 * @throws NixmakerError `nix-failed`
 */
export async function queryClosure(context: NixContext, root: StorePath): Promise<PathInfo[]> {
  const { daemon } = context;
  const told = await daemon?.ask((connection) => {
    const query = async (paths: readonly StorePath[]) => {
      const asked = paths.filter((path) => !daemon.known.has(path));
      for (const [path, info] of await connection.infosOf(asked))
        daemon.known.set(path, pathInfoOf(path, info));
      return daemon.known;
    };
    return gatherClosures(query, [root]);
  });
  if (told === undefined || told.invalid.size > 0) return byProgram(context, root);
  return [...told.infos.values()];
}

const pathInfoOf = (path: StorePath, { narHash, narSize, references, ca }: ValidInfo): PathInfo => ({
  ...{ path, narHash, narSize },
  references: references.map(storePathOf),
  ...given({ ca }),
});

async function byProgram(context: NixContext, root: StorePath): Promise<PathInfo[]> {
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

function storePathOf(text: string): StorePath {
  const path = parseStorePath(text);
  if (path === undefined) throw new NixmakerError('nix-failed', `“${text}” is not a store path`);
  return path;
}
