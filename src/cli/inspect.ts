import type { Command } from 'commander';
import { exitCodes } from '../core/errors.ts';
import { print, printJson, runVerb, talk } from './output.ts';

interface InspectOptions {
  readonly json?: boolean;
  readonly paths?: boolean;
}

export function defineInspect(program: Command): void {
  program
    .command('inspect')
    .description('show what a bundle says of itself; nothing is verified')
    .argument('<bundle>')
    .option('--paths', 'list the store paths too')
    .option('--json', 'print JSON')
    .action((bundle: string, options: InspectOptions) => runVerb(() => inspect(bundle, options), options));
}

async function inspect(bundle: string, { json, paths }: InspectOptions): Promise<number> {
  const { inspectBundleFile } = await import('../builder/verify.ts');
  const { fields, manifestFields } = await import('../report/tables.ts');
  const found = await inspectBundleFile(bundle);
  if (json === true) {
    printJson({ schema: 1, verified: false, ...found });
    return exitCodes.done;
  }
  const signers = found.claimedSigners.join(', ') || `nobody (${found.signatureProblem})`;
  print(manifestFields(found.manifest));
  print(
    fields([
      ['Signed by', `${signers}; not verified`],
      ['Digest', found.manifestDigest],
    ]),
  );
  if (paths === true) for (const { path } of found.manifest.paths) print(`${path}\n`);
  talk('Nothing was verified; use `nixmaker verify --key KEY` for that.\n');
  return exitCodes.done;
}
