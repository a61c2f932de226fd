/** From a flake to bundles: everything is wired up here. */
import { join, resolve } from 'node:path';
import pLimit, { type LimitFunction } from 'p-limit';
import type { Leak } from '../../core/bundle/leaks.ts';
import { NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { rootOf } from '../../core/release/manifest.ts';
import { isHostName } from '../../core/schema.ts';
import type { StorePath } from '../../core/store-path.ts';
import { handBack } from '../../files/caller.ts';
import { makeFolders } from '../../files/folder.ts';
import { buildSystem } from '../../nix/build.ts';
import type { NixContext } from '../../nix/command.ts';
import { NixFailure } from '../../nix/failure.ts';
import { checkFlakeReference, type EvaluatedHost, listHosts } from '../../nix/flake.ts';
import { KeptDaemon } from '../../nix/kept-daemon.ts';
import type { NixProgress } from '../../nix/log.ts';
import { holdProgram, runProgram, talkToProgram } from '../../process/run.ts';
import { type Assembled, assemble, type BundleIdentity } from './assemble.ts';
import { type Base, commonOf } from './base.ts';
import type { CachedPath } from './cache-folder.ts';
import { type MadeDelta, makeDeltas } from './deltas.ts';
import { requireDiskScript } from './disk-script.ts';
import { Evaluation } from './evaluation.ts';
import { guardBareName } from './flake-guard.ts';
import { type HandOver, makeHandOver } from './hand-over.ts';
import { identityOf, type Wishes } from './identity.ts';
import { guardLeaks } from './leak-guard.ts';
import { openKept } from './open-kept.ts';
import { type Deliver, type OutputOptions, recordHost, writeHost } from './output.ts';
import { makePacking, type Packing, packClosure } from './pack-closure.ts';
import type { PathSigner } from './path-signer.ts';
import type { ProvenanceSource } from './provenance.ts';
import { failed, type HostResult, type HostRunner } from './results.ts';
import { chooseFrom, holdLocked, type LockedSource } from './source.ts';
import { SourceCopies } from './source-copies.ts';
import { makeStaging } from './staging.ts';

export interface BuildOptions extends OutputOptions, Omit<Wishes, keyof OutputOptions> {
  readonly flake: string;
  /** Names or patterns (`ship-*`). Empty: all hosts of the flake. */
  readonly hosts: readonly string[];
  readonly forbidSource: boolean;
  /** Whether each system must bring the script by which a first install makes its file systems. */
  readonly withDiskScript?: boolean;
  /** By host: what it may already have, which is one of these. */
  readonly bases?: ReadonlyMap<string, readonly Base[]>;
  /** Whether changed paths may be carried as deltas to what the target has. */
  readonly deltas?: boolean;
  /** Where earlier builds’ compressed NARs are kept (nar-cache.ts); if unset, nothing is kept. */
  readonly keep?: string;
  /** Hosts evaluated at a time; if unset, as many as this machine’s memory and processors allow. */
  readonly evalJobs?: number;
  /** Who builds, in the operator’s words: each host’s folder gets a signed provenance statement. */
  readonly provenance?: { readonly builder: string; readonly versions: Readonly<Record<string, string>> };
  /** Takes each host’s release instead of a bundle in its folder. One at a time. */
  readonly deliver?: (parts: Parameters<Deliver>[0], say: (text: string) => void) => Promise<void>;
}

/**
 * Nix at the desk: this machine's own configuration and store.
 * @param options `signal` stops Nix and cleans up what was begun. `warn` receives warnings
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

/** Builds every chosen host; one failure does not stop the others. */
export async function buildBundles(
  nix: NixContext,
  wanted: BuildOptions,
  runHosts: HostRunner,
): Promise<HostResult[]> {
  // Absolute, because Nix takes the folder as a URI.
  const options = { ...wanted, directory: resolve(wanted.directory) };
  const daemon = new KeptDaemon(talkToProgram, given({ signal: nix.signal }));
  try {
    return await buildHosts({ ...nix, daemon }, options, runHosts);
  } catch (error) {
    // Before there are hosts, whose own failures are results: Nix ended because of that.
    const isEnded = nix.signal?.aborted === true && error instanceof NixFailure;
    throw isEnded ? stoppedAtOnce(error) : error;
  } finally {
    await daemon.close();
  }
}

/** Before there are hosts. */
const stoppedAtOnce = (cause?: unknown) =>
  new NixmakerError('stopped', 'no bundle had been written', { cause });

async function buildHosts(
  nix: NixContext,
  options: BuildOptions,
  runHosts: HostRunner,
): Promise<HostResult[]> {
  // While Nix is at work.
  const opening = openKept(options, nix);
  const { flake, hosts: patterns, keyFile, directory } = options;
  const choosing = chooseFrom(nix, { flake, patterns }, { keyFile, directory });
  const { source, hosts } = await choosing.finally(() => opening);
  const { nars, pathSigner } = await opening;
  // Nix may have ended by the same Ctrl-C as we, a moment before we knew of it.
  if (nix.signal?.aborted === true) throw stoppedAtOnce();
  await makeFolders(options.directory);
  const { path: staging, links, clear } = await makeStaging(options.directory, (text) => nix.warn?.(text));
  const packing = makePacking(nix, staging, nars);
  const systems = new Map<string, StorePath[]>();
  const [build, prepare] = [pLimit(1), pLimit(1)];
  const handOver = makeHandOver(nix.signal, options.deliver !== undefined);
  const copies = new SourceCopies(source.metadata.path);
  try {
    await holdLocked(nix, source, links);
    const evaluation = Evaluation.begin(nix, {
      ...{ source, links, jobs: options.evalJobs },
      hosts,
      isAtOnce: hosts.length === 1 && options.content === 'closure' && options.format === 'bundle',
    });
    const results = await runHosts(hosts, (host, say) =>
      buildHost(
        given({
          nix,
          options,
          source,
          evaluation,
          staging,
          links,
          packing,
          copies,
          pathSigner,
          provenance: options.provenance && { ...options.provenance, metadata: source.metadata },
          build,
          prepare,
          handOver,
          systems,
        }),
        host,
        say,
      ).catch((error: unknown) => failed(host, error)),
    );
    await handBack(options.directory, hosts);
    return results;
  } finally {
    packing.compressor.close();
    // Each waits for a program to end, or for a disk.
    await allOf([nars?.close(), clear(), nix.daemon?.close()]);
  }
}

/** Each of them ended. @throws the first one’s fault */
async function allOf(work: readonly (Promise<void> | undefined)[]): Promise<void> {
  for (const one of await Promise.allSettled(work)) if (one.status === 'rejected') throw one.reason;
}

interface BuildRun {
  readonly nix: NixContext;
  readonly options: BuildOptions;
  readonly source: LockedSource;
  readonly evaluation: Evaluation;
  readonly staging: string;
  /** Where Nix’s roots are kept. */
  readonly links: string;
  /** Shared by all hosts: common paths are compressed, counted and signed once. */
  readonly packing: Packing;
  readonly copies: SourceCopies;
  readonly pathSigner?: PathSigner;
  readonly provenance?: ProvenanceSource;
  /** One host at a time: Nix decides how much it builds in parallel, here or on its remote builders. */
  readonly build: LimitFunction;
  /** One host at a time: compression uses all processors. */
  readonly prepare: LimitFunction;
  readonly handOver: HandOver;
  /** Derivations and toplevels of the hosts evaluated so far. */
  readonly systems: Map<string, StorePath[]>;
}

async function buildHost(run: BuildRun, host: string, say: (text: string) => void): Promise<HostResult> {
  if (!isHostName(host)) throw new NixmakerError('host-name-unusable', `“${host}”`);
  say('evaluating');
  const evaluated = await run.evaluation.of(host);
  run.systems.set(host, [evaluated.derivation, evaluated.toplevel]);
  if (run.options.content === 'closure') await run.build(() => buildOne(run, { host, evaluated, say }));
  if (run.options.withDiskScript === true) await requireDiskScript(host, evaluated);
  const { closure, leaks, assembled } = await run.prepare(() => prepareHost(run, { host, evaluated, say }));
  say('writing');
  const onWait = (who: string) => say(`waiting for ${who}`);
  const [output, { deliver }] = [{ host, assembled, evaluated }, run.options];
  const turned = { ...run, hold: holdProgram };
  const write = () =>
    deliver === undefined
      ? run.handOver(() => writeHost(turned, output, onWait))
      : recordHost(turned, output, { deliver: (parts) => run.handOver(() => deliver(parts, say)), onWait });
  // Pieces are hashed along the way: one may have been kept from an earlier build, on a disk that flips bits.
  const written = await write().catch(async (error: unknown) => {
    const isStopped = run.nix.signal?.aborted === true;
    if (!isStopped && (await run.prepare(() => run.packing.compressor.replaceAltered()))) return write();
    throw error;
  });
  return {
    host,
    status: 'built',
    ...written,
    paths: closure.length,
    toplevel: evaluated.toplevel,
    signedBy: run.options.signer?.name,
    leaks,
  };
}

interface PreparedHost {
  readonly closure: readonly CachedPath[];
  readonly leaks: readonly Leak[];
  readonly assembled: Assembled;
}

interface ToPrepare {
  readonly host: string;
  readonly evaluated: EvaluatedHost;
  readonly say: (text: string) => void;
}

async function buildOne({ nix, links }: BuildRun, { host, evaluated, say }: ToPrepare): Promise<void> {
  say('building');
  const outLink = join(links, `result-${host}`);
  const { derivation, toplevel } = evaluated;
  await buildSystem(nix, { derivation, toplevel, outLink }, { onProgress: tell(say) });
}

async function prepareHost(run: BuildRun, { host, evaluated, say }: ToPrepare): Promise<PreparedHost> {
  const { options, systems, packing } = run;
  say('packing');
  const identity = identityOf(options, run.source.metadata, { host, ...evaluated });
  const bases = options.bases?.get(host) ?? [];
  const base = commonOf(bases);
  const closure = await packClosure(
    packing,
    given({ root: rootOf(identity), content: options.content, base }),
    (text) => say(`packing ${text}`),
  );
  const leaks = guardLeaks({
    root: rootOf(identity),
    closure,
    sources: await run.copies.among(closure, (path) => packing.counts.hasNoExpressions(path)),
    otherSystems: new Set([...systems].filter(([name]) => name !== host).flatMap(([, paths]) => paths)),
    isForbidden: options.forbidSource,
  });
  const assembled = await assembleHost(run, { identity, closure, bases, say });
  return { closure, leaks, assembled };
}

interface ToAssemble {
  readonly identity: BundleIdentity;
  readonly closure: readonly CachedPath[];
  readonly bases: readonly Base[];
  readonly say: (text: string) => void;
}

async function assembleHost(run: BuildRun, packed: ToAssemble): Promise<Assembled> {
  const { identity, closure, bases, say } = packed;
  const { cache, counts } = run.packing;
  const paths = await counts.countAll(closure, (done) => say(`counting ${done} of ${closure.length}`));
  const deltas = await deltasFor(run, packed);
  const files = new Map(closure.map(({ path, file }) => [path, file]));
  const common = commonOf(bases);
  return assemble(identity, paths, {
    fileOf: (path) => (common?.paths.has(path) === true ? undefined : files.get(path)),
    deltas,
    placeOf: (piece) => cache.sourceOf(piece),
  });
}

async function deltasFor(
  { nix, options, staging }: BuildRun,
  { closure: all, bases, say }: ToAssemble,
): Promise<ReadonlyMap<StorePath, readonly MadeDelta[]>> {
  const common = commonOf(bases);
  if (common === undefined || options.deltas === false) return new Map();
  const changed = all.filter((info) => !common.paths.has(info.path));
  const closure = new Set(all.map(({ path }) => path));
  return makeDeltas({ nix, changed, bases, closure, staging, say });
}

function tell(say: (text: string) => void): (progress: NixProgress) => void {
  return ({ phase, done, expected }) =>
    say(`${phase === 'build' ? 'building' : 'packing'} ${done} of ${expected}`);
}
