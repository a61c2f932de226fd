import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { runVerb, serviceLog } from '../terminal/output.ts';

/** What nixmaker-reboot.service runs; not meant for people, who have `systemctl reboot`. */
export function defineReboot(program: Command): void {
  const command = program
    .command('reboot', { hidden: true })
    .description('restart the machine if the policy asks for it and nothing prevents it');
  addTargetOptions(command).action((options: TargetOptions) => runVerb(() => reboot(options), options));
}

async function reboot(options: TargetOptions): Promise<number> {
  const { openMachineHere } = await import('../target/open.ts');
  const { restartMachine } = await import('../../target/root/reboot.ts');
  const machine = await openMachineHere(options, await serviceLog());
  const stop = new AbortController();
  process.on('SIGTERM', () => stop.abort());
  await restartMachine(machine, stop.signal).catch((error: unknown) => {
    if (!stop.signal.aborted) throw error;
  });
  return exitCodes.done;
}
