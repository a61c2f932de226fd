import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { printJson, runVerb } from '../terminal/output.ts';

interface CheckHealthOptions extends TargetOptions {
  readonly afterStart?: boolean;
  readonly failedBefore?: readonly string[] | true;
  readonly restartedBefore?: readonly string[];
}

/** What root’s unit runs in a transient unit, outside its own confinement; not meant for people. */
export function defineCheckHealth(program: Command): void {
  const command = program
    .command('check-health', { hidden: true })
    .description('run the policy’s health checks and print their results')
    .option('--after-start', 'wait for the machine to come up first')
    .option('--failed-before [unit...]', 'units that had already failed')
    .option(
      '--restarted-before <unit...>',
      'running units that systemd had already restarted, as UNIT=SECONDS that they have run since',
    );
  addTargetOptions(command).action((options: CheckHealthOptions) => runVerb(() => check(options), options));
}

async function check(options: CheckHealthOptions): Promise<number> {
  const { openMachineHere } = await import('../target/open.ts');
  const { runHealthChecks } = await import('../../target/activate/health.ts');
  const machine = await openMachineHere(options, () => undefined);
  const { failedBefore, restartedBefore, afterStart = false } = options;
  const results = await runHealthChecks(machine, {
    afterStart,
    failedBefore: failedBefore === true ? [] : failedBefore,
    restartedBefore,
  });
  printJson(results);
  return exitCodes.done;
}
