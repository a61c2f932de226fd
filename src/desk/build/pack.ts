/**
 * A bundle from an existing binary cache, without Nix: for a flake with bundles among its outputs
 * (nix/mk-bundles.nix), or for builds that end in a cache folder.
 */
import { join } from 'node:path';
import { isMissing } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import { isHostName } from '../../core/schema.ts';
import { type DrvPath, parseDrvPath, parseStorePath, type StorePath } from '../../core/store-path.ts';
import { readText } from '../../files/read.ts';
import { assemble, timestampOf } from './assemble.ts';
import { deskNix } from './build.ts';
import { type CachedPath, CacheFolder } from './cache-folder.ts';
import { NarCounts } from './nar-counts.ts';
import { type Written, writeHost } from './output.ts';

export interface PackOptions {
  /** A folder that Nix can copy from as `file://`, compressed with zstd. */
  readonly cache: string;
  readonly directory: string;
  readonly host: string;
  /** The way Nix spells it: `x86_64-linux`. */
  readonly system: string;
  readonly toplevel: string;
  /** The toplevel’s derivation, by name; nothing of it is carried. */
  readonly derivation: string;
  readonly sequenceAbove: number;
  /** Seconds since 1970. */
  readonly epoch: number;
}

/** @throws NixmakerError `usage`, `cache-unusable` if it isn’t such a cache or is damaged, `closure-incomplete` if it lacks paths */
export async function packCache(options: PackOptions): Promise<Written & { readonly paths: number }> {
  const { cache, host } = options;
  if (!isHostName(host)) throw new NixmakerError('host-name-unusable', `“${host}”`);
  const toplevel = parseStorePath(options.toplevel);
  const derivation = parseDrvPath(options.derivation);
  if (toplevel === undefined) throw new NixmakerError('usage', `${options.toplevel} is not a store path`);
  if (derivation === undefined) throw new NixmakerError('usage', `${options.derivation} is not a derivation`);
  await readText(join(cache, 'nix-cache-info'), 'usage', `${cache} is not a binary cache`);
  try {
    return await packFolder(options, { toplevel, derivation });
  } catch (error) {
    throw asCacheFault(error, cache);
  }
}

/** Nobody has a bundle yet that could be copied again. */
function asCacheFault(error: unknown, cache: string): unknown {
  const isOfBundles =
    error instanceof NixmakerError && /^bundle-(altered|malformed|truncated)$/.test(error.code);
  if (isOfBundles) return new NixmakerError('cache-unusable', error.detail, { cause: error });
  const answer = error instanceof NixmakerError && error.code === 'io-error' ? error.cause : error;
  const { path } = isMissing(answer) ? (answer as NodeJS.ErrnoException) : {};
  if (path?.startsWith(cache) !== true) return error;
  return new NixmakerError('cache-unusable', `${path} is missing`, { cause: error });
}

async function packFolder(
  { cache, host, system, directory, sequenceAbove, epoch }: PackOptions,
  { toplevel, derivation }: { readonly toplevel: StorePath; readonly derivation: DrvPath },
): Promise<Written & { readonly paths: number }> {
  const folder = new CacheFolder(cache);
  const closure = closureIn(folder, toplevel);
  const counted = await new NarCounts(folder).countAll(closure, () => undefined);
  const identity = {
    host,
    system,
    createdAt: timestampOf(epoch),
    content: 'closure',
    derivation,
    toplevel,
  } as const;
  const files = new Map(closure.map(({ path, file }) => [path, file]));
  const assembled = assemble(identity, counted, {
    fileOf: (path) => files.get(path),
    deltas: new Map(),
    placeOf: (piece) => folder.sourceOf(piece),
  });
  const written = await writeHost(
    {
      nix: deskNix(),
      options: { directory, format: 'bundle', content: 'closure', sequenceAbove },
      staging: directory,
    },
    { host, assembled, evaluated: { toplevel, derivation } },
  );
  return { ...written, paths: closure.length };
}

function closureIn(folder: CacheFolder, toplevel: StorePath): CachedPath[] {
  try {
    return folder.closureOf(toplevel);
  } catch (error) {
    if (!isMissing(error)) throw error;
    const { path } = error as NodeJS.ErrnoException;
    throw new NixmakerError('closure-incomplete', `${path} is missing`, { cause: error });
  }
}
