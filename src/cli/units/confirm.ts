import { type Command, Option } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import type { Occasion } from '../../target/activate/judge-pending.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { outliveTerminal } from '../terminal/outlive.ts';
import { print, printJson, printToStderr, runVerb, serviceLog } from '../terminal/output.ts';

interface ConfirmOptions extends TargetOptions {
  readonly atStart?: boolean;
  readonly atDeadline?: boolean;
}

export function defineConfirm(program: Command): void {
  const command = program
    .command('confirm')
    .description('after a restart: check the new system, then keep it or go back')
    .option(
      '--at-start',
      'as nixmaker-confirm.service runs it: the policy may also require a person to confirm',
    )
    .addOption(new Option('--at-deadline', 'as nixmaker-deadline.service does it').hideHelp());
  addTargetOptions(command).action((options: ConfirmOptions) => runVerb(() => confirm(options), options));
}

async function confirm(options: ConfirmOptions): Promise<number> {
  const { openAsRootToUndo } = await import('../target/open.ts');
  const { confirmAtDeadline, confirmAtStart, confirmByHand } = await import('../../target/root/confirm.ts');
  const { exitOf } = await import('../../core/run/receipt.ts');
  const { printReceipt } = await import('../terminal/receipt.ts');
  const occasion = occasionOf(options);
  const emit = await logFor(occasion, options);
  const { machine, problem } = await openAsRootToUndo(options, emit, 'confirm');
  if (occasion === 'operator') outliveTerminal(machine.interruption);
  const judge = { start: confirmAtStart, deadline: confirmAtDeadline, operator: confirmByHand }[occasion];
  const receipt = await judge(machine);
  if (receipt === undefined) {
    if (problem !== undefined) throw problem;
    if (options.json === true) printJson({ schema: 1, ok: true, pending: false });
    else if (occasion === 'operator') print(lines`Nothing is waiting to be confirmed.\n`);
    return exitCodes.done;
  }
  if (options.json === true) printJson(receipt);
  else printReceipt(receipt);
  // At the deadline, going back was asked for; at a start, the boot loader must not take the entry for good.
  if (receipt.state === 'rolling-back') return occasion === 'deadline' ? exitCodes.done : exitCodes.fault;
  return exitOf(receipt);
}

const occasionOf = ({ atStart, atDeadline }: ConfirmOptions): Occasion =>
  atStart === true ? 'start' : atDeadline === true ? 'deadline' : 'operator';

async function logFor(occasion: Occasion, { verbose = false }: ConfirmOptions) {
  if (occasion !== 'operator') return serviceLog(verbose);
  return (await import('../../report/console-log.ts')).makeConsoleLog(printToStderr, { verbose });
}
