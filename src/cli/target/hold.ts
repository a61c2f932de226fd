import type { Command } from 'commander';
import { exitCodes, NixmakerError } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';
import { addTargetOptions, sequenceNumber, type TargetOptions } from './options.ts';

interface HoldOptions extends TargetOptions {
  readonly because: string;
}

interface ReleaseOptions extends TargetOptions {
  readonly all?: boolean;
}

export function defineHold(program: Command): void {
  const command = program
    .command('hold')
    .summary('hold a release, so that it is not taken')
    .description('hold a release: it is not taken until something newer comes or you free it (root)')
    .argument('<sequence>', 'sequence of the release', sequenceNumber)
    .option('--because <text>', 'why, for whoever comes after you', 'held by hand');
  addTargetOptions(command).action((sequence: number, options: HoldOptions) =>
    runVerb(() => holdIt(sequence, options), options),
  );
}

export function defineRelease(program: Command): void {
  const command = program
    .command('release')
    .description('free a release held by `hold` or by a rollback (root)')
    .argument('[sequence]', 'sequence of the release', sequenceNumber)
    .option('--all', 'free all held releases; also resets a damaged list');
  addTargetOptions(command).action((sequence: number | undefined, options: ReleaseOptions) =>
    runVerb(() => freeIt(sequence, options), options),
  );
}

async function open(options: TargetOptions, what: string) {
  const { openAsRootToUndo } = await import('./open.ts');
  const { makeConsoleLog } = await import('../../report/console-log.ts');
  const log = makeConsoleLog(printToStderr, { verbose: options.verbose === true });
  return (await openAsRootToUndo(options, log, what)).machine;
}

async function holdIt(sequence: number, options: HoldOptions): Promise<number> {
  const { because } = options;
  if (because.length > 500) throw new NixmakerError('usage', '--because is limited to 500 characters');
  const { holdRelease } = await import('../../target/root/hold.ts');
  const found = await holdRelease(await open(options, 'hold a release'), { sequence, because });
  if (options.json === true) printJson({ schema: 1, ok: true, ...found });
  else
    print(
      lines`Release ${sequence} is held: it is not taken until something newer comes or \`nixmaker release ${sequence}\` frees it.\n`,
    );
  if (found.isInstalled)
    printToStderr(
      lines`It is the installed release and stays installed; \`nixmaker rollback\` goes back from it.\n`,
    );
  return exitCodes.done;
}

async function freeIt(sequence: number | undefined, options: ReleaseOptions): Promise<number> {
  if ((sequence === undefined) === (options.all !== true))
    throw new NixmakerError('usage', 'pass a release’s sequence, or --all');
  const { freeRelease } = await import('../../target/root/hold.ts');
  const freed = await freeRelease(await open(options, 'free a release'), sequence ?? 'all');
  if (options.json === true) printJson({ schema: 1, ok: true, freed });
  else if (freed.length === 0) print(lines`No release is held.\n`);
  for (const each of options.json === true ? [] : freed)
    print(
      lines`Release ${each.sequence} is no longer held. To take it, drop its bundle again or plug its medium in again.\n`,
    );
  return exitCodes.done;
}
