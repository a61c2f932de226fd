import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { runVerb, serviceLog } from '../terminal/output.ts';

/** What nixmaker-activate.service runs; not meant for people, so not in the help. */
export function defineActivate(program: Command): void {
  const command = program
    .command('activate', { hidden: true })
    .description('serve the agent’s requests (root)');
  addTargetOptions(command).action((options: TargetOptions) => runVerb(() => activate(options), options));
}

async function activate(options: TargetOptions): Promise<number> {
  const { openAsRoot, openAsRootToUndo } = await import('../target/open.ts');
  const { endStopped, serveAgent } = await import('../../target/root/serve.ts');
  const emit = await serviceLog(options.verbose);
  const { machine, problem } = await openAsRootToUndo(options, emit, 'activate');
  if (problem === undefined) await serveAgent(machine);
  else {
    await endStopped(machine);
    // The restored system may have brought back usable ones.
    await serveAgent(await openAsRoot(options, emit, 'activate'));
  }
  return exitCodes.done;
}
