import { type Command, InvalidArgumentError } from 'commander';
import { outliveTerminal } from '../terminal/outlive.ts';
import { printJson, printToStderr, runVerb } from '../terminal/output.ts';
import { addTargetOptions, type TargetOptions } from './options.ts';

interface RollbackOptions extends TargetOptions {
  readonly to?: number;
  readonly despiteOneWay?: boolean;
  readonly withoutHooks?: boolean;
}

export function defineRollback(program: Command): void {
  const command = program
    .command('rollback')
    .description('go back to an earlier generation, now and for the next start')
    .option('--to <generation>', 'its number (default: the newest before the current one)', generationNumber)
    .option('--despite-one-way', 'go back past a one-way release, once its data was restored')
    .option('--without-hooks', 'do not run the policy’s hooks');
  addTargetOptions(command).action((options: RollbackOptions) => runVerb(() => rollback(options), options));
}

function generationNumber(text: string): number {
  if (!/^[1-9][0-9]{0,8}$/.test(text)) throw new InvalidArgumentError('Must be a generation number.');
  return Number(text);
}

async function rollback(options: RollbackOptions): Promise<number> {
  const { openAsRootToUndo } = await import('./open.ts');
  const { goBack } = await import('../../target/root/rollback.ts');
  const { exitOf } = await import('../../core/run/receipt.ts');
  const { printReceipt } = await import('../terminal/receipt.ts');
  const { makeConsoleLog } = await import('../../report/console-log.ts');
  const { machine } = await openAsRootToUndo(
    options,
    makeConsoleLog(printToStderr, { verbose: options.verbose === true }),
    'go back to another generation',
  );
  outliveTerminal(machine.interruption);
  const receipt = await goBack(machine, options);
  const { requestReboot } = await import('../../target/root/reboot.ts');
  await requestReboot(machine);
  if (options.json === true) printJson(receipt);
  else printReceipt(receipt);
  return exitOf(receipt);
}
