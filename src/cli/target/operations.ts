import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { NixmakerError } from '../../core/errors.ts';
import { type Operation, operations } from '../../core/schema.ts';
import { outliveTerminal } from '../terminal/outlive.ts';
import { printJson, printToStderr, runVerb } from '../terminal/output.ts';
import type { OpenedTarget } from './open-target.ts';
import { addTargetOptions, type TargetOptions } from './options.ts';

interface OperationFlags extends TargetOptions {
  /** The original tool’s option for naming the file. */
  readonly tarball?: string;
  readonly allowUnsigned?: boolean;
}

interface OperationOptions extends OperationFlags {
  readonly tarball: string;
}

const descriptions: Readonly<Record<Operation, string>> = {
  switch: 'install a bundle’s system and switch to it now',
  boot: 'install a bundle’s system for the next start',
  test: 'run a bundle’s system until the next start only',
  'dry-activate': 'show what switching to a bundle’s system would do',
};

/** `switch`, `boot`, `test` and `dry-activate`: one bundle, once, from a file or from standard input. */
export function defineOperations(program: Command): void {
  for (const operation of operations) {
    const command = program
      .command(operation)
      .description(descriptions[operation])
      .argument('[bundle]', 'the bundle, or - for standard input')
      .option('--tarball <file>', 'the same, as the original tool spells it')
      .option('--allow-unsigned', 'take an unsigned classic tarball');
    addTargetOptions(command).action((file: string | undefined, flags: OperationFlags) =>
      runVerb(async () => operate(operation, { ...flags, tarball: fileOf(file, flags.tarball) }), flags),
    );
  }
}

function fileOf(named: string | undefined, tarball: string | undefined): string {
  if (named !== undefined && tarball !== undefined)
    throw new NixmakerError('usage', 'name one bundle, with or without --tarball');
  const file = named ?? tarball;
  if (file === undefined) throw new NixmakerError('usage', 'name a bundle, or - for standard input');
  return file;
}

async function operate(operation: Operation, options: OperationOptions): Promise<number> {
  // A mistyped name is not a failed bundle, and no receipt for it travels home.
  if (options.tarball !== '-') await stat(options.tarball);
  const { openTarget } = await import('./open-target.ts');
  const { exitOf } = await import('../../core/run/receipt.ts');
  const { printReceipt } = await import('../terminal/receipt.ts');
  const { makeConsoleLog } = await import('../../report/console-log.ts');
  const target = await openTarget(
    options,
    makeConsoleLog(printToStderr, { verbose: options.verbose === true }),
  );
  if (target.machine.role !== 'agent') outliveTerminal(target.machine.interruption);
  const receipt = await take(target, operation, options);
  const { requestReboot } = await import('../../target/root/reboot.ts');
  await requestReboot(target.machine);
  if (options.json === true) printJson(receipt);
  else printReceipt(receipt);
  return exitOf(receipt);
}

async function take(
  { machine, root }: OpenedTarget,
  operation: Operation,
  { tarball, allowUnsigned }: OperationOptions,
) {
  const { takeBundle } = await import('../../target/update/take.ts');
  if (allowUnsigned === true) {
    const { takeUnsigned } = await import('../../target/update/unsigned.ts');
    if (!tarball.toLowerCase().endsWith('.tar.gz'))
      throw new NixmakerError('usage', '--allow-unsigned only works with classic tarballs (.tar.gz)');
    return takeUnsigned(machine, root, { tarball, operation });
  }
  if (tarball.toLowerCase().endsWith('.tar.gz')) {
    return takeBundle(machine, root, {
      name: tarball,
      source: { format: 'classic', path: tarball },
      operation,
    });
  }
  if (tarball !== '-')
    return takeBundle(machine, root, {
      name: tarball,
      source: { format: 'bundle', file: tarball },
      operation,
    });
  const { spoolInput } = await import('../../target/update/stdin.ts');
  const file = await spoolInput(machine, process.stdin);
  return takeBundle(machine, root, { name: 'standard input', source: { format: 'bundle', file }, operation });
}
