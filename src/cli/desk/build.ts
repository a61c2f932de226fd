import { type Command, InvalidArgumentError, Option } from 'commander';
import { alike, namesText } from '../../core/alike.ts';
import { type ExitCode, exitCodes, NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { eachLine, joined, type Lines, lines } from '../../core/lines.ts';
import { sizeText } from '../../core/size.ts';
import type { BuildOptions } from '../../desk/build/build.ts';
import type { FailedHost, HostResult } from '../../desk/build/results.ts';
import { onStop } from '../terminal/outlive.ts';
import {
  columns,
  print,
  printJson,
  printToStderr,
  progressTerminal,
  runVerb,
  severalTimes,
} from '../terminal/output.ts';
import { addFlakeOptions } from './flake-options.ts';
import { versionOf } from './sbom.ts';
import { addCommandOptions, builderKeyOf, type KeyOptions } from './signer-options.ts';

export interface BuildFlags extends KeyOptions {
  readonly flake: string;
  readonly directory: string;
  readonly host: readonly string[];
  readonly content?: 'closure' | 'derivation';
  readonly format: 'bundle' | 'classic';
  readonly sequence: number;
  readonly forbidSource?: boolean;
  readonly withDiskScript?: boolean;
  readonly notes?: string;
  readonly oneWay?: string;
  readonly since?: readonly string[];
  readonly deltas?: boolean;
  readonly expires?: string;
  readonly machineId?: string;
  readonly downgradeFrom?: number;
  readonly cache?: boolean;
  readonly provenance?: string;
  /** Nixmaker’s own. */
  readonly version?: string;
  readonly evalJobs?: number;
  readonly verbose?: boolean;
  readonly json?: boolean;
}

export function defineBuild(program: Command): void {
  const command = program
    .command('build')
    .summary('build a signed bundle for every host, or for some')
    .description('build a signed bundle for every host of a flake, or only for some')
    .option('--host <host>', 'only matching hosts, such as web or "ship-*"; repeatable', severalTimes, [])
    .option('--key <file>', 'secret key to sign with (see keygen)')
    .addOption(
      new Option(
        '--content <content>',
        'closure: everything the target needs; derivation: only the recipes',
      ).choices(['closure', 'derivation']),
    )
    .addOption(
      new Option('--format <format>', 'bundle, or the original tool’s tarball')
        .choices(['bundle', 'classic'])
        .default('bundle'),
    )
    .option(
      '--since <file>',
      'leave out what the host already has, going by its newest receipt or the last bundle it took; also raises --sequence. Repeatable: the bundle then serves a host that has any one of them',
      severalTimes,
      [],
    )
    .option('--no-deltas', 'with --since: send changed paths in full, for targets with little memory')
    .option('--no-cache', 'compress everything again and keep nothing for the next build')
    .addOption(evalJobsOption())
    .option('--sequence <number>', 'use a sequence higher than this', wholeNumber, 0)
    .option('--expires <time>', 'targets refuse it from this time on (2027-01-31 or 2027-01-31T12:00:00Z)')
    .option('--machine-id <id>', 'only the machine with this machine-id(5) may take it')
    .option(
      '--downgrade-from <sequence>',
      'a machine whose newest sequence is this one may take it despite its lower sequence (see --sequence)',
      wholeNumber,
    )
    .option('--notes <text>', 'a note for the operator at the target')
    .option(
      '--one-way <reason>',
      'never roll back automatically once a machine has run it, because its services change their data for good',
    )
    .option('--with-disk-script', 'fail if a system has no disk script for `install --format`')
    .option(
      '--provenance <builder>',
      'also write a signed provenance.json (in-toto, SLSA) that names this builder, such as a URL',
    )
    .option('--forbid-source', 'fail if the flake’s source or another host’s system would be included');
  addFlakeOptions(addCommandOptions(command)).action((flags: BuildFlags, self: Command) =>
    runVerb(() => build({ ...flags, version: versionOf(self) }), flags),
  );
}

export const evalJobsOption = (): Option =>
  new Option(
    '--eval-jobs <number>',
    'hosts to evaluate at once (default: as many as memory, 2 GiB each, and processors allow)',
  ).argParser(atLeastOne);

export function atLeastOne(text: string): number {
  const number = wholeNumber(text);
  if (number < 1) throw new InvalidArgumentError('Must be at least 1.');
  return number;
}

export function wholeNumber(text: string): number {
  const value = /^[0-9]+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value)) throw new InvalidArgumentError('Must be a whole number.');
  return value;
}

async function build(flags: BuildFlags): Promise<number> {
  const { results, exit, warnings } = await buildWith(flags);
  if (flags.json === true) printJson({ schema: 1, ok: exit === exitCodes.done, hosts: results, warnings });
  else await summarise(results, flags);
  return exit;
}

/** Builds as the flags say, with progress. @param deliver for `put --flake`, which takes releases instead of bundles */
export async function buildWith(
  flags: BuildFlags,
  deliver?: BuildOptions['deliver'],
): Promise<{
  readonly results: readonly HostResult[];
  readonly exit: ExitCode;
  /** Nix’s warnings, each once. */
  readonly warnings: readonly string[];
}> {
  const { checkBuildArguments } = await import('./build-arguments.ts');
  const { expiresAt, warnings: said } = await checkBuildArguments(flags, new Date());
  const { buildBundles, deskNix } = await import('../../desk/build/build.ts');
  const { exitOfBuild } = await import('../../desk/build/results.ts');
  const { narCacheFolder } = await import('../../desk/build/nar-cache.ts');
  const { runHostsWithProgress } = await import('../../report/host-progress.ts');
  const key = await builderKeyOf(flags);
  if (flags.provenance !== undefined && key === undefined)
    throw new NixmakerError('usage', '--provenance needs a key to sign with');
  const since = flags.since === undefined || flags.since.length === 0 ? undefined : await readSince(flags);
  const epoch = process.env.SOURCE_DATE_EPOCH;
  const interrupted = new AbortController();
  onStop(() => interrupted.abort());
  const warnings = new Set<string>(said);
  const warn = (text: string) => void (warnings.size < mostWarnings && warnings.add(text));
  const terminal = progressTerminal(flags.json === true);
  // Before there are hosts whose progress could be shown.
  if (terminal.isTTY) terminal.write(lines`evaluating ${flags.flake}\n`);
  const results = await buildBundles(
    deskNix({ signal: interrupted.signal, warn }),
    given({
      flake: flags.flake,
      directory: flags.directory,
      hosts: since === undefined ? flags.host : [...since.bases.keys()],
      bases: since?.bases,
      deltas: flags.deltas !== false,
      // The original tool carried recipes; our bundles carry everything unless told otherwise.
      content: flags.content ?? (flags.format === 'classic' ? 'derivation' : 'closure'),
      format: flags.format,
      ...key,
      // A downgrade goes below what the host has, on purpose.
      sequenceAbove:
        flags.downgradeFrom === undefined ? Math.max(flags.sequence, since?.floor ?? 0) : flags.sequence,
      evalJobs: flags.evalJobs,
      keep: flags.cache === false ? undefined : narCacheFolder(process.env),
      forbidSource: flags.forbidSource === true,
      withDiskScript: flags.withDiskScript === true,
      notes: flags.notes,
      noWayBack: flags.oneWay,
      expiresAt,
      machineId: flags.machineId,
      provenance: provenanceWish(flags),
      downgradeFrom: flags.downgradeFrom,
      deliver,
      epoch: epoch === undefined ? undefined : readEpoch(epoch),
    }),
    runHostsWithProgress<HostResult>(terminal),
  );
  // Nothing is wrong with hosts that were not begun.
  if (interrupted.signal.aborted) {
    const done = results.filter((r) => r.status === 'built').length;
    throw new NixmakerError('stopped', `${done} of ${results.length} bundles had been written`);
  }
  // Once per run, and not in the middle of the progress.
  if (flags.json !== true) for (const warning of warnings) printToStderr(eachLine(warning));
  return { results, exit: exitOfBuild(results), warnings: [...warnings] };
}

const provenanceWish = ({ provenance: builder, version = 'unknown' }: BuildFlags) =>
  builder === undefined ? undefined : { builder, versions: { nixmaker: version } };

/** A flake may warn about each of its hosts. */
const mostWarnings = 100;

async function readSince({ format, content, host, since = [] }: BuildFlags) {
  if (format === 'classic' || content === 'derivation')
    throw new NixmakerError('usage', '--since only works for bundles with --content closure');
  return (await import('../../desk/fleet/since.ts')).readBases(since, host);
}

export function readEpoch(text: string): number {
  const seconds = /^[0-9]{1,11}$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(seconds)) throw new NixmakerError('usage', 'SOURCE_DATE_EPOCH is not a number of seconds');
  return seconds;
}

/**
 * What went wrong with which hosts, with the lines of Nix’s output that a person needs; with `--verbose`, all of it. What several
 * have in common is reported once.
 */
export async function explainFailed(
  results: readonly HostResult[],
  { verbose }: Pick<BuildFlags, 'verbose'>,
): Promise<Lines[]> {
  const { explain } = await import('../../report/tables.ts');
  const failed = results.filter((r) => r.status === 'failed');
  const logOf = ({ log }: FailedHost) => (verbose === true ? (log?.split('\n') ?? []) : []);
  const groups = alike(failed, (f) => JSON.stringify([f.code, f.detail, f.excerpt, logOf(f)]));
  return groups.map((group) => {
    const [{ code, detail, excerpt = [] }] = group;
    const said = [...logOf(group[0]), ...excerpt].map((line) => lines`  ${line}\n`);
    return joined([
      lines`${namesText(group.map(({ host }) => host))}: `,
      explain(code, detail, 'desk'),
      ...said,
    ]);
  });
}

async function summarise(results: readonly HostResult[], flags: BuildFlags): Promise<void> {
  const { table } = await import('../../report/columns.ts');
  const { describeLeak } = await import('../../desk/build/leak-guard.ts');
  const rows = results.map((r) =>
    r.status === 'built'
      ? [r.host, 'built', r.sequence, r.paths, sizeText(r.bytes), r.signedBy ?? 'nobody', r.bundle]
      : [r.host, 'FAILED', undefined, undefined, undefined, undefined, r.code],
  );
  if (rows.length === 0) printToStderr(lines`The flake has no hosts under nixosConfigurations.\n`);
  else
    print(
      table(['HOST', 'STATUS', 'SEQUENCE', 'PATHS', 'SIZE', 'SIGNED BY', 'BUNDLE'], rows, {
        width: columns(),
        style: (row, column) =>
          column === 1 ? (results[row]?.status === 'built' ? 'good' : 'bad') : undefined,
      }),
    );
  for (const why of await explainFailed(results, flags)) printToStderr(joined([lines`\n`, why]));
  for (const result of results)
    if (result.status === 'built')
      for (const leak of result.leaks) printToStderr(lines`warning: ${result.host}: ${describeLeak(leak)}\n`);
  if (results.some((r) => r.status === 'built' && r.signedBy === undefined)) {
    printToStderr(
      lines`note: unsigned; targets only take signed bundles (nixmaker keygen, then build --key FILE)\n`,
    );
  }
}
