/** From a flake to bundles: one file wires it all. */
import { join, resolve } from 'node:path';
import pLimit, { type LimitFunction } from 'p-limit';
import type { Leak } from '../../core/bundle/leaks.ts';
import { type ExitCode, exitCodes, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { faultOf } from '../../core/fault.ts';
import { given } from '../../core/given.ts';
import { chooseHosts } from '../../core/host-pattern.ts';
import { rootOf } from '../../core/release/manifest.ts';
import { isHostName } from '../../core/schema.ts';
import type { StorePath } from '../../core/store-path.ts';
import { makeFolders } from '../../files/folder.ts';
import { buildSystem } from '../../nix/build.ts';
import type { NixContext } from '../../nix/command.ts';
import { NixFailure } from '../../nix/failure.ts';
import { checkFlakeReference, type EvaluatedHost, evaluateHost, listHosts } from '../../nix/flake.ts';
import type { NixProgress } from '../../nix/log.ts';
import { holdProgram, runProgram } from '../../process/run.ts';
import { type Assembled, assemble, type Base, type BundleIdentity } from './assemble.ts';
import type { CachedPath } from './cache-folder.ts';
import { type MadeDelta, makeDeltas } from './deltas.ts';
import { guardBareName } from './flake-guard.ts';
import { identityOf, type Wishes } from './identity.ts';
import { guardLeaks } from './leak-guard.ts';
import { NarCache } from './nar-cache.ts';
import { type OutputOptions, writeHost } from './output.ts';
import { makePacking, type Packing, packClosure } from './pack-closure.ts';
import { PathSigner } from './path-signer.ts';
import { holdLocked, type LockedSource, lockSource } from './source.ts';
import { SourceCopies } from './source-copies.ts';
import { makeStaging } from './staging.ts';

export interface BuildOptions extends OutputOptions, Omit<Wishes, keyof OutputOptions> {
  readonly flake: string;
  /** Names or patterns (`ship-*`). Empty: all hosts of the flake. */
  readonly hosts: readonly string[];
  readonly forbidSource: boolean;
  /** What the target has already; then for one host only. */
  readonly base?: Base;
  /** Whether changed paths may be carried as differences to what the target has. */
  readonly deltas?: boolean;
  /** The folder of what earlier builds have compressed (nar-cache.ts); without, nothing is kept. */
  readonly keep?: string;
}

export interface BuiltHost {
  readonly host: string;
  readonly status: 'built';
  readonly bundle: string;
  readonly bytes: number;
  readonly sequence: number;
  readonly paths: number;
  readonly toplevel: StorePath;
  readonly signedBy: string | undefined;
  readonly leaks: readonly Leak[];
}

export interface FailedHost {
  readonly host: string;
  readonly status: 'failed';
  readonly code: ReasonCode;
  readonly detail: string;
  /** Of what Nix said the lines that a person needs: the last block of an error, the end of a builder’s log. */
  readonly excerpt?: readonly string[];
  /** All that Nix said, where it said more than a line. */
  readonly log?: string;
}

export type HostResult = BuiltHost | FailedHost;

/** Runs the hosts' work with progress for a person; report/ has one for terminals and one for everything else. */
export type HostRunner = (
  hosts: readonly string[],
  work: (host: string, say: (text: string) => void) => Promise<HostResult>,
) => Promise<HostResult[]>;

/**
 * Nix at the desk: this machine's own configuration and store.
 * @param options `signal` ends Nix: what was begun is cleared away. `warn` hears what it warns of
 */
export function deskNix(options: Pick<NixContext, 'signal' | 'warn'> = {}): NixContext {
  return given({ run: runProgram, ...options });
}

/** Names of the hosts of a flake. */
export async function listFlakeHosts(nix: NixContext, flake: string): Promise<string[]> {
  checkFlakeReference(flake);
  await guardBareName(flake);
  return listHosts(nix, flake);
}

/** Builds every chosen host; one that fails does not stop the others. */
export async function buildBundles(
  nix: NixContext,
  wanted: BuildOptions,
  runHosts: HostRunner,
): Promise<HostResult[]> {
  // Absolute, for Nix takes the folder as a URI.
  const options = { ...wanted, directory: resolve(wanted.directory) };
  const source = await lockSource(nix, options.flake, {
    keyFile: options.key?.file,
    directory: options.directory,
  });
  const known = source.hosts;
  const { hosts, missing } = chooseHosts(known, options.hosts);
  if (missing !== undefined) {
    throw new NixmakerError(
      'no-such-host',
      `“${missing}” is not one of ${known.join(', ') || 'the hosts (there are none)'}`,
    );
  }
  await makeFolders(options.directory);
  const { path: staging, links, clear } = await makeStaging(options.directory, (text) => nix.warn?.(text));
  const nars = await openNars(options, nix);
  const packing = makePacking(nix, staging, nars);
  const signer = options.key === undefined ? undefined : new PathSigner(options.key.secret);
  const systems = new Map<string, StorePath[]>();
  const prepare = pLimit(1);
  const copies = new SourceCopies(source.metadata.path);
  try {
    await holdLocked(nix, source, links);
    return await runHosts(hosts, (host, say) =>
      buildHost(
        given({
          nix,
          options,
          source,
          staging,
          links,
          packing,
          copies,
          signer,
          prepare,
          systems,
        }),
        host,
        say,
      ).catch((error: unknown) => failed(host, error)),
    );
  } finally {
    packing.compressor.close();
    await nars?.close();
    await clear();
  }
}

function openNars({ keep }: BuildOptions, { warn }: NixContext): Promise<NarCache | undefined> {
  if (keep === undefined) return Promise.resolve(undefined);
  return NarCache.open(keep, (text) => warn?.(text));
}

function failed(host: string, error: unknown): FailedHost {
  const log = error instanceof NixmakerError && typeof error.cause === 'string' ? error.cause : undefined;
  const excerpt = error instanceof NixFailure && error.excerpt.length > 0 ? error.excerpt : undefined;
  return given({ host, status: 'failed' as const, ...faultOf(error), excerpt, log });
}

export function exitOfBuild(results: readonly HostResult[]): ExitCode {
  return results.every((r) => r.status === 'built') ? exitCodes.done : exitCodes.fault;
}

interface BuildRun {
  readonly nix: NixContext;
  readonly options: BuildOptions;
  readonly source: LockedSource;
  readonly staging: string;
  /** Where Nix’s roots are. */
  readonly links: string;
  /** Shared by all hosts: common paths are compressed, counted and signed once. */
  readonly packing: Packing;
  readonly copies: SourceCopies;
  readonly signer?: PathSigner;
  /** One host after the other: evaluation takes much memory, and compression all processors. */
  readonly prepare: LimitFunction;
  /** Derivations and toplevels of the hosts evaluated so far. */
  readonly systems: Map<string, StorePath[]>;
}

async function buildHost(run: BuildRun, host: string, say: (text: string) => void): Promise<HostResult> {
  const { closure, leaks, assembled, evaluated } = await run.prepare(() => prepareHost(run, host, say));
  say('writing');
  const onWait = (who: string) => say(`waiting for ${who}`);
  const write = () => writeHost({ ...run, hold: holdProgram }, { host, assembled, evaluated }, onWait);
  // Its pieces are hashed on the way: one may have been kept from an earlier build, on a disk that turns bits.
  const written = await write().catch(async (error: unknown) => {
    if (await run.prepare(() => run.packing.compressor.replaceAltered())) return write();
    throw error;
  });
  return {
    host,
    status: 'built',
    ...written,
    paths: closure.length,
    toplevel: evaluated.toplevel,
    signedBy: run.options.key?.secret.name,
    leaks,
  };
}

interface PreparedHost {
  readonly closure: readonly CachedPath[];
  readonly leaks: readonly Leak[];
  readonly assembled: Assembled;
  readonly evaluated: EvaluatedHost;
}

async function prepareHost(run: BuildRun, host: string, say: (text: string) => void): Promise<PreparedHost> {
  const { nix, options, links, systems, packing } = run;
  if (!isHostName(host)) throw new NixmakerError('host-name-unusable', `“${host}”`);
  say('evaluating');
  const evaluated = await evaluateHost(nix, run.source.reference, host);
  await run.source.check();
  systems.set(host, [evaluated.derivation, evaluated.toplevel]);
  if (options.content === 'closure') {
    say('building');
    await buildSystem(
      nix,
      { derivation: evaluated.derivation, outLink: join(links, `result-${host}`) },
      { onProgress: tell(say) },
    );
  }
  say('packing');
  const identity = identityOf(options, run.source.metadata, { host, ...evaluated });
  const { base } = options;
  const closure = await packClosure(
    packing,
    given({ root: rootOf(identity), content: options.content, base }),
    (text) => say(`packing ${text}`),
  );
  const leaks = guardLeaks({
    root: rootOf(identity),
    closure,
    sources: await run.copies.among(closure),
    otherSystems: new Set([...systems].filter(([name]) => name !== host).flatMap(([, paths]) => paths)),
    isForbidden: options.forbidSource,
  });
  const assembled = await assembleHost(run, { identity, closure, say });
  return { closure, leaks, assembled, evaluated };
}

async function assembleHost(
  run: BuildRun,
  {
    identity,
    closure,
    say,
  }: { identity: BundleIdentity; closure: readonly CachedPath[]; say: (text: string) => void },
): Promise<Assembled> {
  const {
    packing: { cache, counts },
    options,
  } = run;
  const paths = await counts.countAll(closure, (done) => say(`counting ${done} of ${closure.length}`));
  const deltas = await deltasFor(run, closure, say);
  const files = new Map(closure.map(({ path, file }) => [path, file]));
  return assemble(identity, paths, {
    fileOf: (path) => (options.base?.paths.has(path) === true ? undefined : files.get(path)),
    deltas,
    placeOf: (piece) => cache.sourceOf(piece),
  });
}

async function deltasFor(
  { nix, options, staging }: BuildRun,
  closure: readonly CachedPath[],
  say: (text: string) => void,
): Promise<ReadonlyMap<StorePath, MadeDelta>> {
  const { base, deltas } = options;
  if (base === undefined || deltas === false) return new Map();
  const changed = closure.filter((info) => !base.paths.has(info.path));
  return makeDeltas({ nix, changed, base: base.paths, staging, say });
}

function tell(say: (text: string) => void): (progress: NixProgress) => void {
  return ({ phase, done, expected }) =>
    say(`${phase === 'build' ? 'building' : 'packing'} ${done} of ${expected}`);
}
