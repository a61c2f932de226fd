import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { runVerb, serviceLog } from '../terminal/output.ts';

/** What nixmaker-activate.service runs; not meant for people, and so not in the help. */
export function defineActivate(program: Command): void {
  const command = program
    .command('activate', { hidden: true })
    .description('serve the agent’s requests (root)');
  addTargetOptions(command).action((options: TargetOptions) => runVerb(() => activate(options), options));
}

async function activate(options: TargetOptions): Promise<number> {
  const { openAsRoot } = await import('../target/open.ts');
  const { serveAgent } = await import('../../target/root/serve.ts');
  const machine = await openAsRoot(options, await serviceLog(options.verbose), 'activate');
  await serveAgent(machine);
  return exitCodes.done;
}
