import type { Command } from 'commander';
import { exitCodes, NixmakerError } from '../core/errors.ts';
import { runVerb, talk } from './output.ts';
import { addTargetOptions, type TargetOptions } from './target-options.ts';

/** What nixmaker-activate.service runs; not meant for people, and so not in the help. */
export function defineActivate(program: Command): void {
  const command = program
    .command('activate', { hidden: true })
    .description('serve the agent’s requests (root)');
  addTargetOptions(command).action((options: TargetOptions) => runVerb(() => activate(options), options));
}

async function activate(options: TargetOptions): Promise<number> {
  const { openMachine } = await import('../agent/machine.ts');
  const { runHelper } = await import('../agent/helper.ts');
  const { makeLog } = await import('../report/logger.ts');
  const level = options.verbose === true ? 'debug' : 'info';
  const emit = makeLog({ level, journald: process.env.JOURNAL_STREAM !== undefined, write: talk });
  const machine = await openMachine({ ...options, emit });
  if (machine.handsOver) throw new NixmakerError('usage', 'only root can activate');
  await runHelper(machine);
  return exitCodes.done;
}
