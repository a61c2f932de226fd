/** Reads a flake: names, derivations, metadata. Nothing is built here. */
import { readFile } from 'node:fs/promises';
import { naturally } from '../core/alike.ts';
import { NixmakerError } from '../core/errors.ts';
import { describeIssues, drvPath, storePath } from '../core/schema.ts';
import type { DrvPath, StorePath } from '../core/store-path.ts';
import * as z from '../core/zod.ts';
import { legacyNix, type NixContext, nix } from './command.ts';
import { rootIfValid } from './roots.ts';

const names = z.array(z.string());
const evaluated = z.object({ derivation: drvPath, toplevel: storePath, system: z.string() });
const metadata = z.object({
  description: z.optional(z.string()),
  revision: z.optional(z.string()),
  dirtyRevision: z.optional(z.string()),
  /** Seconds since 1970: the commit’s time, or that of the newest file. */
  lastModified: z.optional(z.int()),
  /** The flake as it was fetched, in the store. */
  path: z.optional(storePath),
  /** The locked reference as text, and its parts (nix3-flake(1)). */
  url: z.optional(z.string()),
  locked: z.optional(
    z.object({
      type: z.string(),
      path: z.optional(z.string()),
      dir: z.optional(z.string()),
      narHash: z.optional(z.string()),
      rev: z.optional(z.string()),
      revCount: z.optional(z.int()),
      lastModified: z.optional(z.int()),
    }),
  ),
  /** The lock file’s inputs by name; the root has no `locked`. */
  locks: z.optional(
    z.object({
      nodes: z.record(
        z.string(),
        z.object({
          locked: z.optional(
            z.object({
              type: z.string(),
              owner: z.optional(z.string()),
              repo: z.optional(z.string()),
              url: z.optional(z.string()),
              path: z.optional(z.string()),
              rev: z.optional(z.string()),
              narHash: z.optional(z.string()),
            }),
          ),
        }),
      ),
    }),
  ),
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
  const found = await ask(context, { flake, apply: 'builtins.attrNames' }, names);
  // In natural order: host-2 before host-10.
  return found.sort(naturally);
}

/** As Nix parses a string (Nix manual, “String literal”). */
export const quoted = (text: string): string => `"${text.replace(/["\\$]/g, '\\$&')}"`;

/**
 * Instantiates a host’s system: afterwards the derivation is in the store, but not its output. Its `system` is that of the machine it is
 * for; a derivation’s own is that of the building machine, which differs if a host is cross-built.
 */
const instantiate =
  'host: let top = host.config.system.build.toplevel; in ' +
  '{ derivation = top.drvPath; toplevel = top.outPath; system = host.pkgs.stdenv.hostPlatform.system or top.system; }';

/** Nix’s own statistics of an evaluation ($NIX_SHOW_STATS_PATH), as far as they are of interest. */
const statistics = z.looseObject({ gc: z.looseObject({ totalBytes: z.number().check(z.gte(0)) }) });

export interface Evaluated {
  readonly hosts: ReadonlyMap<string, EvaluatedHost>;
  /** Bytes that Nix took for it, those it no longer needed included; undefined if it does not say. */
  readonly memory: number | undefined;
}

/**
 * Several hosts by one process, which saves it reading what they share, but holds all of them in memory.
 * @param notes a file of the caller’s, for what Nix says of the memory
 * @throws NixmakerError `evaluation-failed` if one of them can’t be evaluated
 */
export async function evaluateHosts(
  context: NixContext,
  {
    flake,
    hosts,
    notes,
  }: { readonly flake: string; readonly hosts: readonly string[]; readonly notes: string },
): Promise<Evaluated> {
  const env = { ...context.env, NIX_SHOW_STATS: '1', NIX_SHOW_STATS_PATH: notes };
  const [first, ...others] = hosts;
  // By its own attribute, Nix says more clearly what is wrong.
  const found =
    first !== undefined && others.length === 0
      ? { [first]: await ask({ ...context, env }, { flake, host: first, apply: instantiate }, evaluated) }
      : await ask(
          { ...context, env },
          { flake, apply: instantiateAll(hosts) },
          z.record(z.string(), evaluated),
        );
  const said = await readFile(notes, 'utf8').then(statisticsIn, () => undefined);
  return { hosts: new Map(Object.entries(found)), memory: said?.gc.totalBytes };
}

const instantiateAll = (hosts: readonly string[]): string =>
  `all: let instantiate = ${instantiate}; in { ${hosts.map((h) => `${quoted(h)} = instantiate all.${quoted(h)};`).join(' ')} }`;

function statisticsIn(text: string): z.infer<typeof statistics> | undefined {
  try {
    return statistics.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
}

const survey = z.object({ names, one: z.nullable(z.extend(evaluated, { host: z.string() })) });

export interface Survey {
  readonly hosts: readonly string[];
  /** The only host there is, or the one that was asked for. */
  readonly one: (EvaluatedHost & { readonly host: string }) | undefined;
}

/**
 * All names, and one host evaluated at once: with what was started anyway.
 * @param wanted if unset, whichever is the only one
 */
export async function surveyHosts(context: NixContext, flake: string, wanted?: string): Promise<Survey> {
  const one =
    wanted === undefined
      ? 'if builtins.length names == 1 then builtins.head names else null'
      : `if all ? ${quoted(wanted)} then ${quoted(wanted)} else null`;
  const apply =
    `all: let names = builtins.attrNames all; one = ${one}; instantiate = ${instantiate}; in ` +
    `{ inherit names; one = if one == null then null else { host = one; } // instantiate all.\${one}; }`;
  const found = await ask(context, { flake, apply }, survey);
  return { hosts: found.names.sort(naturally), one: found.one ?? undefined };
}

async function ask<T extends z.ZodMiniType>(
  context: NixContext,
  { flake, host, apply }: { readonly flake: string; readonly host?: string; readonly apply: string },
  schema: T,
): Promise<z.output<T>> {
  const attribute = host === undefined ? configurations : `${configurations}."${host}"`;
  const args = ['eval', '--json', `${flake}#${attribute}`, '--apply', apply];
  return read(schema, await nix(context, args, { failure: 'evaluation-failed' }));
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
  if ((await rootIfValid(context, { link, path })) === true) return;
  const args = ['--realise', path, '--add-root', link, '--indirect'];
  await legacyNix(context, { program: 'nix-store', args });
}

/** Makes the link a root of the derivation itself: `nix-store --realise` would build it. */
export async function holdDerivation(
  context: NixContext,
  { path, link }: { readonly path: DrvPath; readonly link: string },
): Promise<void> {
  if ((await rootIfValid(context, { link, path })) === true) return;
  await nix(context, ['build', path, '--out-link', link]);
}

function read<T extends z.ZodMiniType>(schema: T, text: string): z.output<T> {
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
