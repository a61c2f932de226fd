import type { Command } from 'commander';
import { exitCodes, NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { lines } from '../../core/lines.ts';
import { sizeText } from '../../core/size.ts';
import type { Due } from '../../desk/fleet/due.ts';
import type { PutOptions, PutResult } from '../../desk/pool/put-options.ts';
import type { SplitFlags } from '../../desk/pool/put-over.ts';
import {
  columns,
  print,
  printJson,
  printToStderr,
  progressTerminal,
  runVerb,
  severalTimes,
} from '../terminal/output.ts';
import { atLeastOne, type BuildFlags, buildWith, evalJobsOption, explainFailed } from './build.ts';
import { versionOf } from './sbom.ts';
import { addCommandOptions, type KeyOptions } from './signer-options.ts';

interface PutFlags extends KeyOptions, SplitFlags {
  readonly flake?: string;
  readonly directory: string;
  readonly host: readonly string[];
  readonly keep: number;
  readonly clear?: boolean;
  readonly fleet: string;
  readonly allRings?: boolean;
  readonly cache?: boolean;
  readonly evalJobs?: number;
  readonly plainFolder?: boolean;
  readonly self?: boolean;
  readonly inTheClear?: boolean;
  readonly sbom?: boolean;
  readonly settings?: string;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export function definePut(program: Command): void {
  const command = program
    .command('put')
    .description('copy bundles to a medium; hosts share what they have in common')
    .argument('<medium>', 'where the medium is mounted, or any folder that a carrier moves')
    .argument('[bundle...]', 'bundles, keyrings (*.keyring), and a table of hosts (*.hosts)')
    .option('-f, --flake <flake>', 'build these hosts first, then put them on the medium')
    .option('-d, --directory <directory>', 'with --flake: where bundles are built', '.')
    .option(
      '--host <host>',
      'with --flake: only matching hosts, such as web or "ship-*"; repeatable',
      severalTimes,
      [],
    )
    .option('--key <file>', 'with --flake: secret key to sign with')
    .option('--no-cache', 'with --flake: compress everything again and keep nothing for the next build')
    .addOption(evalJobsOption())
    .option('--keep <number>', 'how many sequences of each host to keep on the medium', atLeastOne, 1)
    .option(
      '--clear',
      'delete every file that no sequence on the medium needs, even if that means reading many hosts',
    )
    .option('--fleet <directory>', 'where `nixmaker collect` stores receipts, with rings.json', 'fleet')
    .option('--all-rings', 'put every bundle, whether or not its ring’s turn has come')
    .option(
      '--split <medium>',
      'a further medium for what does not fit on the first; repeatable',
      severalTimes,
      [],
    )
    .option(
      '--size <size>',
      'make parts of this size in <medium>, a folder: ISO images for discs, such as 700M, 4.7G or 25G',
    )
    .option('--sbom', 'beside each manifest, also put a list of what the release contains, as CycloneDX')
    .option('--plain-folder', 'write into <medium> even if it looks like a mount point with nothing mounted')
    .option(
      '--self',
      'at a machine: the release it runs, made from its store, for others of the same host name',
    )
    .option('--in-the-clear', 'with --self: also a release that came encrypted')
    .option('--settings <file>', 'with --self: this machine’s settings file')
    .option('-v, --verbose', 'show Nix’s full output for hosts that fail')
    .option('--json', 'print JSON');
  addCommandOptions(command).action((medium: string, bundles: string[], flags: PutFlags, self: Command) =>
    runVerb(
      () => put(medium, bundles, { ...flags, listedBy: flags.sbom === true ? versionOf(self) : undefined }),
      flags,
    ),
  );
}

/** With what `--sbom` comes to: the version that the lists name. */
interface PutCall extends PutFlags {
  readonly listedBy: string | undefined;
}

async function put(medium: string, bundles: readonly string[], flags: PutCall): Promise<number> {
  if (bundles.length === 0 && flags.flake === undefined && flags.clear !== true && flags.self !== true)
    throw new NixmakerError('usage', 'name bundles, or a flake with --flake');
  const { encryptedExtension } = await import('../../core/bundle/encrypted.ts');
  const encrypted = bundles.find((path) => path.endsWith(encryptedExtension));
  if (encrypted !== undefined)
    throw new NixmakerError(
      'usage',
      `${encrypted} is encrypted and shares nothing with others: copy the file to the medium as it is`,
    );
  if (flags.plainFolder !== true) {
    const { requireMedium } = await import('../../desk/pool/medium-place.ts');
    // Before building for hours.
    for (const each of flags.size === undefined ? [medium, ...flags.split] : []) await requireMedium(each);
  }
  if (flags.self === true) {
    if (bundles.length > 0 || flags.flake !== undefined || isSplit(flags) || flags.clear === true)
      throw new NixmakerError('usage', 'with --self, name nothing but the medium');
    const { putSelf } = await import('./put-self.ts');
    const result = await putSelf(medium, flags);
    if (flags.json === true) printJson({ schema: 2, ok: true, ...result, leftOut: [], keyrings: [] });
    else await summarise(medium, { ...result, leftOut: [] });
    return exitCodes.done;
  }
  if (flags.flake !== undefined && isSplit(flags))
    throw new NixmakerError('usage', '--split and --size take bundles: build first');
  if (flags.sbom === true && isSplit(flags))
    throw new NixmakerError('usage', '--sbom needs a medium that carries whole releases');
  if (flags.flake !== undefined) await refuseRings(flags);
  const { keyringExtension } = await import('../../core/policy/keyring.ts');
  const keyrings = bundles.filter((path) => path.endsWith(keyringExtension));
  const { hostsExtension } = await import('../../core/install/hosts.ts');
  const tables = bundles.filter((path) => path.endsWith(hostsExtension));
  if (tables.length > 1) throw new NixmakerError('usage', 'a medium has one table of hosts');
  const files = bundles.filter((path) => !keyrings.includes(path) && !tables.includes(path));
  const { bundles: due, leftOut } = await chooseByRings(files, flags);
  const built = flags.flake === undefined ? undefined : await putFlake(medium, flags, flags.flake);
  const isNothingDue = built === undefined && due.length === 0 && leftOut.length > 0 && flags.clear !== true;
  if (isSplit(flags)) return putParts({ medium, bundles: due, keyrings, tables, leftOut }, flags);
  const result = isNothingDue ? nothing : await putFiles(medium, due, flags, { before: built?.result });
  const versions = await putKeyringFiles(medium, keyrings);
  for (const file of tables) await putHostsFile(medium, file);
  if (flags.json === true) printJson({ schema: 2, ok: true, ...result, leftOut, keyrings: versions });
  else await summarise(medium, { ...result, leftOut });
  return built?.exit ?? exitCodes.done;
}

const isSplit = ({ split, size }: SplitFlags): boolean => split.length > 0 || size !== undefined;

interface ToSplit extends Pick<Due, 'bundles' | 'leftOut'> {
  readonly medium: string;
  /** They go on every part. */
  readonly keyrings: readonly string[];
  /** On every part, too. */
  readonly tables: readonly string[];
}

async function putParts(
  { medium, bundles, keyrings, tables, leftOut }: ToSplit,
  flags: PutCall,
): Promise<number> {
  if (bundles.length === 0) throw new NixmakerError('usage', '--split and --size take bundles');
  let versions: readonly number[] = [];
  const { putOver } = await import('../../desk/pool/put-over.ts');
  const { result, parts, note } = await putOver({ medium, bundles, flags }, async (place, partOf) => {
    const put = await putFiles(place, bundles, flags, { partOf });
    versions = await putKeyringFiles(place, keyrings);
    for (const file of tables) await putHostsFile(place, file);
    return put;
  });
  if (flags.json === true) {
    printJson({ schema: 2, ok: true, ...result, leftOut, keyrings: versions, parts });
    return exitCodes.done;
  }
  await summarise(medium, { ...result, leftOut });
  if (note !== undefined) printToStderr(lines`${note}\n`);
  for (const { part, of, place } of parts) printToStderr(lines`Part ${part} of ${of}: ${place}\n`);
  return exitCodes.done;
}

const nothing: PutResult = { hosts: [], pruned: 0, collected: 0, notices: [] };

async function chooseByRings(bundles: readonly string[], { fleet, allRings }: PutFlags): Promise<Due> {
  if (allRings === true) return { bundles, leftOut: [] };
  return (await import('../../desk/fleet/due.ts')).chooseDue(fleet, bundles);
}

/** Hosts built one after another can’t be compared with those in the previous ring. */
async function refuseRings({ fleet, allRings }: PutFlags): Promise<void> {
  const { readRings } = await import('../../desk/fleet/rings.ts');
  if (allRings === true || (await readRings(fleet)) === undefined) return;
  throw new NixmakerError(
    'usage',
    `${fleet} has rings.json: build first and put the bundles of all rings, or pass --all-rings`,
  );
}

async function putKeyringFiles(medium: string, files: readonly string[]): Promise<readonly number[]> {
  if (files.length === 0) return [];
  const { putKeyrings } = await import('../../desk/keys/keyring.ts');
  const versions = await putKeyrings(medium, files);
  for (const version of versions) printToStderr(lines`keyring version ${version} is on the medium\n`);
  return versions;
}

async function putHostsFile(medium: string, file: string): Promise<void> {
  const { putHosts } = await import('../../desk/keys/hosts.ts');
  await putHosts(medium, file);
  printToStderr(lines`the table of hosts is on the medium\n`);
}

const together = (one: PutResult, other: PutResult): PutResult => ({
  hosts: [...one.hosts, ...other.hosts],
  pruned: one.pruned + other.pruned,
  collected: one.collected + other.collected,
  notices: [...new Set([...one.notices, ...other.notices])],
});

/** Each host as soon as it is built, straight from the compressed pieces: no bundle is written in between. */
async function putFlake(medium: string, flags: PutCall, flake: string) {
  if ((flags.key ?? flags.signWith) === undefined)
    throw new NixmakerError(
      'usage',
      'targets only take signed bundles: pass --key FILE or --sign-with COMMAND',
    );
  const { putBundles } = await import('../../desk/pool/put.ts');
  const { keepFlusher } = await import('../../desk/pool/kept-flusher.ts');
  const buildFlags: BuildFlags = { ...flags, flake, format: 'bundle', sequence: 0 };
  const good = new Set<string>();
  let result = nothing;
  const flusher = keepFlusher();
  const { results, exit } = await buildWith(buildFlags, async (release, say) => {
    const put = await putBundles(
      {
        medium,
        bundles: [],
        releases: [release],
        keep: flags.keep,
        clear: false,
        good,
        sbom: flags.listedBy,
      },
      ({ phase }) => say(phase),
      flusher.run,
    );
    result = together(result, put);
  }).finally(flusher.end);
  for (const why of await explainFailed(results, flags)) printToStderr(why);
  return { exit, result };
}

async function putFiles(
  medium: string,
  bundles: readonly string[],
  { keep, clear, json, listedBy: sbom }: PutCall,
  { before = nothing, partOf }: Pick<PutOptions, 'partOf'> & { readonly before?: PutResult | undefined } = {},
): Promise<PutResult> {
  const { putBundles } = await import('../../desk/pool/put.ts');
  const { makeByteProgress } = await import('../../report/byte-progress.ts');
  const progress = makeByteProgress(progressTerminal(json === true), () => performance.now());
  try {
    const onWait = (who: string) => printToStderr(lines`waiting for ${who}, which is using ${medium}\n`);
    const put = await putBundles(
      given({ medium, bundles, keep, clear, before, partOf, onWait, sbom }),
      ({ host, phase, ...counted }) => progress.step({ title: `${host}: ${phase}`, ...counted }),
    );
    return together(before, put);
  } finally {
    progress.end();
  }
}

const statuses = {
  written: 'written and read back',
  there: 'already there; read back',
  older: 'skipped: the medium has a newer one',
};

async function summarise(
  medium: string,
  { hosts, pruned, collected, notices, leftOut }: PutResult & Pick<Due, 'leftOut'>,
): Promise<void> {
  const { table } = await import('../../report/columns.ts');
  const rows = hosts.map((h) => [h.host, h.sequence, sizeText(h.bytes), statuses[h.status]]);
  if (rows.length > 0) print(table(['HOST', 'SEQUENCE', 'NEW', 'STATUS'], rows, { width: columns() }));
  for (const { host, ring, why } of leftOut)
    printToStderr(lines`${host}: left out${ring === undefined ? '' : `, ring ${ring}`}: ${why}\n`);
  for (const notice of notices) printToStderr(lines`note: ${notice}\n`);
  if (pruned + collected > 0)
    printToStderr(lines`Removed ${pruned} older sequences and ${collected} files that nothing needs.\n`);
  if (hosts.length === 0 && leftOut.length > 0) printToStderr(lines`Nothing was put.\n`);
  else printToStderr(lines`Everything is on the medium. Unmount ${medium} before you pull it out.\n`);
}
