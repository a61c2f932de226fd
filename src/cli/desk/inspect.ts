import type { Command } from 'commander';
import { exitCodes, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { stateWord } from '../../core/run/state-words.ts';
import { sizeText } from '../../core/size.ts';
import type { Contents } from '../../desk/keys/verify.ts';
import { columns, print, printJson, printToStderr, runVerb } from '../terminal/output.ts';

interface InspectOptions {
  readonly json?: boolean;
  readonly paths?: boolean;
  readonly policy?: string;
  readonly settings?: string;
}

export function defineInspect(program: Command): void {
  program
    .command('inspect')
    .summary('show what a bundle or a medium holds; verifies nothing')
    .description('show what a bundle, or each bundle on a medium, says about itself; verifies nothing')
    .argument('<bundle-or-folder>')
    .option('--policy <file>', 'for a folder: verify, and say what this machine would do with each bundle')
    .option('--settings <file>', 'this machine’s settings file')
    .option('--paths', 'also list the store paths')
    .option('--json', 'print JSON')
    .action((bundle: string, options: InspectOptions) => runVerb(() => inspect(bundle, options), options));
}

async function inspect(bundle: string, options: InspectOptions): Promise<number> {
  const { stat } = await import('node:fs/promises');
  const isFolder = (await stat(bundle).catch(() => undefined))?.isDirectory() === true;
  if (isFolder)
    return options.policy === undefined ? inspectFolder(bundle, options) : explainFolder(bundle, options);
  return inspectFile(bundle, options);
}

async function inspectFile(bundle: string, { json, paths }: InspectOptions): Promise<number> {
  const { inspectBundleFile, inspectContents } = await import('../../desk/keys/verify.ts');
  const found = await inspectBundleFile(bundle);
  const contents = await inspectContents(bundle).catch(problemOf);
  const listed = paths === true ? await pathsOf(bundle) : undefined;
  if (json === true) {
    printJson({ schema: 2, verified: false, ...found, contents, paths: listed });
    return exitCodes.done;
  }
  const { fields, manifestRows } = await import('../../report/tables.ts');
  const signers = found.claimedSigners.join(', ') || `nobody (${found.signatureProblem})`;
  print(
    fields([
      ...manifestRows(found.manifest),
      ['Size', sizeText(found.bytes)],
      ['Carried', contents === undefined ? undefined : await describeContents(contents)],
      ['Signed by', `${signers}; not verified`],
      ['Digest', found.manifestDigest],
    ]),
  );
  for (const path of listed ?? []) print(lines`${path}\n`);
  printToStderr(lines`Nothing was verified; use \`nixmaker verify --key KEY\` for that.\n`);
  return exitCodes.done;
}

/** What announces the contents can be damaged or still missing; what the manifest says is shown all the same. */
function problemOf(error: unknown): { readonly problem: ReasonCode } {
  if (error instanceof NixmakerError) return { problem: error.code };
  throw error;
}

async function describeContents(contents: Contents | { readonly problem: ReasonCode }): Promise<string> {
  if ('problem' in contents) return `unknown (${contents.problem})`;
  const { whole, differences, leftOut, bytes: carried, nixSigners } = contents;
  const left = leftOut === 0 ? '' : `, ${leftOut} left out (the host has them)`;
  const nix = nixSigners.length === 0 ? 'no key' : nixSigners.join(', ');
  return `${whole} paths in full, ${differences} as deltas${left}; ${sizeText(carried)}; signed for Nix by ${nix}`;
}

async function pathsOf(bundle: string): Promise<string[]> {
  const { readAnyIndex } = await import('../../desk/keys/read-release.ts');
  return (await readAnyIndex(bundle)).index.paths();
}

async function inspectFolder(folder: string, { json }: InspectOptions): Promise<number> {
  const { inspectMedium } = await import('../../desk/pool/inspect-medium.ts');
  const { table } = await import('../../report/columns.ts');
  const rows = await inspectMedium(folder);
  if (json === true) printJson({ schema: 1, verified: false, bundles: rows });
  else if (rows.length === 0) printToStderr(lines`No bundles found.\n`);
  else {
    const cells = rows.map((r) => [
      r.file,
      r.host,
      r.sequence,
      r.bytes === undefined ? undefined : sizeText(r.bytes),
      r.problem ?? (r.claimedSigners.length === 0 ? 'unsigned' : `signed by ${r.claimedSigners.join(', ')}?`),
    ]);
    print(table(['FILE', 'HOST', 'SEQUENCE', 'SIZE', 'STATE'], cells, { width: columns() }));
    printToStderr(lines`Nothing was verified; --policy FILE shows what a machine would do with each.\n`);
  }
  return exitCodes.done;
}

async function explainFolder(folder: string, { json, policy, settings }: InspectOptions): Promise<number> {
  const { explainMedium } = await import('../../target/inspect/explain-medium.ts');
  const { openMachineHere } = await import('../target/open.ts');
  const { table } = await import('../../report/columns.ts');
  const machine = await openMachineHere({ policyFile: policy, settingsFile: settings }, () => undefined);
  const found = await explainMedium(machine, folder);
  if (json === true) printJson({ schema: 1, verified: true, bundles: found });
  else if (found.length === 0) printToStderr(lines`No bundles found.\n`);
  else {
    const cells = found.map(({ file, host, sequence, judgement }) => [
      file,
      host,
      sequence,
      stateWord(judgement.outcome),
      'code' in judgement ? `${judgement.code}: ${judgement.detail}` : '',
    ]);
    print(table(['FILE', 'HOST', 'SEQUENCE', 'VERDICT', 'WHY'], cells, { width: columns() }));
  }
  return exitCodes.done;
}
