/** Reads a flake: names, derivations, metadata. Nothing is built here. */
import * as z from 'zod';
import { naturally } from '../core/alike.ts';
import { NixmakerError } from '../core/errors.ts';
import { describeIssues, drvPath, storePath } from '../core/schema.ts';
import type { DrvPath, StorePath } from '../core/store-path.ts';
import { legacyNix, type NixContext, nix } from './command.ts';

const names = z.array(z.string());
const evaluated = z.object({ derivation: drvPath, toplevel: storePath, system: z.string() });
const metadata = z.object({
  description: z.string().optional(),
  revision: z.string().optional(),
  dirtyRevision: z.string().optional(),
  /** Seconds since 1970: the commit’s time, or that of the newest file. */
  lastModified: z.number().int().optional(),
  /** The flake as it was fetched, in the store. */
  path: storePath.optional(),
  /** The locked reference as text, and its parts (nix3-flake(1)). */
  url: z.string().optional(),
  locked: z
    .object({
      type: z.string(),
      path: z.string().optional(),
      dir: z.string().optional(),
      narHash: z.string().optional(),
      rev: z.string().optional(),
      revCount: z.number().int().optional(),
      lastModified: z.number().int().optional(),
    })
    .optional(),
  /** The lock file’s inputs by name; the root has no `locked`. */
  locks: z
    .object({
      nodes: z.record(
        z.string(),
        z.object({
          locked: z
            .object({
              type: z.string(),
              owner: z.string().optional(),
              repo: z.string().optional(),
              url: z.string().optional(),
              path: z.string().optional(),
              rev: z.string().optional(),
              narHash: z.string().optional(),
            })
            .optional(),
        }),
      ),
    })
    .optional(),
});

export type EvaluatedHost = z.infer<typeof evaluated>;
export type FlakeMetadata = z.infer<typeof metadata>;

/** Any reference that Nix accepts, but without a fragment: the hosts are always under `nixosConfigurations`. */
export function checkFlakeReference(flake: string): void {
  if (flake === '' || flake.startsWith('-'))
    throw new NixmakerError('usage', `“${flake}” is not a flake reference`);
  if (flake.includes('#')) {
    throw new NixmakerError('usage', 'leave out the # part; choose hosts with --host');
  }
}

/**
 * The hosts’ attribute, and no other: without the dot Nix first looks for the name among the flake’s packages and legacyPackages (nix3(1),
 * Installables).
 */
const configurations = '.nixosConfigurations';

/** Names only; no host is evaluated, so a broken one is still listed. */
export async function listHosts(context: NixContext, flake: string): Promise<string[]> {
  const args = ['eval', '--json', `${flake}#${configurations}`, '--apply', 'builtins.attrNames'];
  const found = read(names, await nix(context, args, { failure: 'evaluation-failed' }));
  // In natural order: host-2 before host-10.
  return found.sort(naturally);
}

/**
 * Instantiates a host’s system: afterwards the derivation is in the store, but not its output. Its `system` is that of the machine it is
 * for; a derivation’s own is that of the building machine, which differs if a host is cross-built.
 */
export async function evaluateHost(context: NixContext, flake: string, host: string): Promise<EvaluatedHost> {
  const attribute = `${flake}#${configurations}."${host}"`;
  const apply =
    'host: let top = host.config.system.build.toplevel; in ' +
    '{ derivation = top.drvPath; toplevel = top.outPath; system = host.pkgs.stdenv.hostPlatform.system or top.system; }';
  return read(
    evaluated,
    await nix(context, ['eval', '--json', attribute, '--apply', apply], { failure: 'evaluation-failed' }),
  );
}

export async function readFlakeMetadata(context: NixContext, flake: string): Promise<FlakeMetadata> {
  return read(
    metadata,
    await nix(context, ['flake', 'metadata', '--json', flake], { failure: 'evaluation-failed' }),
  );
}

/** Makes the link a garbage-collector root of a flake’s source. */
export async function holdSource(
  context: NixContext,
  { path, link }: { readonly path: StorePath; readonly link: string },
): Promise<void> {
  const args = ['--realise', path, '--add-root', link, '--indirect'];
  await legacyNix(context, { program: 'nix-store', args });
}

/** Makes the link a root of the derivation itself: `nix-store --realise` would build it. */
export async function holdDerivation(
  context: NixContext,
  { path, link }: { readonly path: DrvPath; readonly link: string },
): Promise<void> {
  await nix(context, ['build', path, '--out-link', link]);
}

function read<T extends z.ZodType>(schema: T, text: string): z.output<T> {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new NixmakerError('nix-failed', 'Nix’s answer is not JSON', { cause });
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success)
    throw new NixmakerError('nix-failed', `unexpected answer from Nix: ${describeIssues(parsed.error)}`);
  return parsed.data;
}
