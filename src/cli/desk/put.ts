import { type Command, InvalidArgumentError } from 'commander';
import { exitCodes, NixmakerError } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { sizeText } from '../../core/size.ts';
import type { PutResult } from '../../desk/pool/put.ts';
import {
  columns,
  print,
  printJson,
  printToStderr,
  progressTerminal,
  runVerb,
  severalTimes,
} from '../terminal/output.ts';
import { type BuildFlags, buildWith, explainFailed, wholeNumber } from './build.ts';

interface PutFlags {
  readonly flake?: string;
  readonly directory: string;
  readonly host: readonly string[];
  readonly key?: string;
  readonly keep: number;
  readonly cache?: boolean;
  readonly plainFolder?: boolean;
  readonly json?: boolean;
  readonly verbose?: boolean;
}

export function definePut(program: Command): void {
  program
    .command('put')
    .description('copy bundles to a medium; hosts share what they have in common')
    .argument('<medium>', 'where the medium is mounted, or any folder that a carrier moves')
    .argument('[bundle...]', 'bundles and keyrings (*.keyring)')
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
    .option('--keep <number>', 'how many sequences of each host to keep on the medium', atLeastOne, 1)
    .option('--plain-folder', 'write into <medium> even if it looks like a mount point with nothing mounted')
    .option('-v, --verbose', 'show Nix’s full output for hosts that fail')
    .option('--json', 'print JSON')
    .action((medium: string, bundles: string[], flags: PutFlags) =>
      runVerb(() => put(medium, bundles, flags), flags),
    );
}

function atLeastOne(text: string): number {
  const number = wholeNumber(text);
  if (number < 1) throw new InvalidArgumentError('Must be at least 1.');
  return number;
}

async function put(medium: string, bundles: readonly string[], flags: PutFlags): Promise<number> {
  if (bundles.length === 0 && flags.flake === undefined)
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
    // Before hours of building.
    await requireMedium(medium);
  }
  const built = flags.flake === undefined ? undefined : await build(flags, flags.flake);
  const { keyringExtension } = await import('../../core/policy/keyring.ts');
  const keyrings = bundles.filter((path) => path.endsWith(keyringExtension));
  const files = [...bundles.filter((path) => !keyrings.includes(path)), ...(built?.bundles ?? [])];
  const result = await putFiles(medium, files, flags);
  const versions = await putKeyringFiles(medium, keyrings);
  if (flags.json === true) printJson({ schema: 2, ok: true, ...result, keyrings: versions });
  else await summarise(medium, result);
  return built?.exit ?? exitCodes.done;
}

async function putKeyringFiles(medium: string, files: readonly string[]): Promise<readonly number[]> {
  if (files.length === 0) return [];
  const { putKeyrings } = await import('../../desk/keys/keyring.ts');
  const versions = await putKeyrings(medium, files);
  for (const version of versions) printToStderr(lines`keyring version ${version} is on the medium\n`);
  return versions;
}

async function build(flags: PutFlags, flake: string) {
  if (flags.key === undefined)
    throw new NixmakerError('usage', 'targets only take signed bundles: pass --key FILE');
  const buildFlags: BuildFlags = { ...flags, flake, format: 'bundle', sequence: 0 };
  const { results, exit } = await buildWith(buildFlags);
  for (const why of await explainFailed(results, flags)) printToStderr(why);
  return { exit, bundles: results.flatMap((r) => (r.status === 'built' ? [r.bundle] : [])) };
}

async function putFiles(medium: string, bundles: readonly string[], flags: PutFlags): Promise<PutResult> {
  const { putBundles } = await import('../../desk/pool/put.ts');
  const { makeByteProgress } = await import('../../report/byte-progress.ts');
  const progress = makeByteProgress(progressTerminal(flags.json === true), () => performance.now());
  try {
    const onWait = (who: string) => printToStderr(lines`waiting for ${who}, which is using ${medium}\n`);
    return await putBundles({ medium, bundles, keep: flags.keep, onWait }, ({ host, phase, ...counted }) =>
      progress.step({ title: `${host}: ${phase}`, ...counted }),
    );
  } finally {
    progress.end();
  }
}

const statuses = {
  written: 'written and read back',
  there: 'already there; read back',
  older: 'skipped: the medium has a newer one',
};

async function summarise(medium: string, { hosts, pruned, collected, notices }: PutResult): Promise<void> {
  const { table } = await import('../../report/columns.ts');
  const rows = hosts.map((h) => [h.host, h.sequence, sizeText(h.bytes), statuses[h.status]]);
  print(table(['HOST', 'SEQUENCE', 'NEW', 'STATUS'], rows, { width: columns() }));
  for (const notice of notices) printToStderr(lines`note: ${notice}\n`);
  if (pruned + collected > 0)
    printToStderr(lines`Removed ${pruned} older sequences and ${collected} files that only they needed.\n`);
  printToStderr(lines`Everything is on the medium. Unmount ${medium} before you pull it out.\n`);
}
