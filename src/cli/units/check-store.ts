import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { runVerb, serviceLog, untilStopped } from '../terminal/output.ts';

/** What nixmaker-check.service runs; people have `nixmaker doctor --deep`. */
export function defineCheckStore(program: Command): void {
  const command = program
    .command('check-store', { hidden: true })
    .description(
      'read the contents of this machine’s systems if the policy asks for it and it is due (root)',
    );
  addTargetOptions(command).action((options: TargetOptions) => runVerb(() => checkStore(options), options));
}

async function checkStore(options: TargetOptions): Promise<number> {
  const { openAsRoot } = await import('../target/open.ts');
  const { checkWhenDue } = await import('../../target/root/check-store.ts');
  const machine = await openAsRoot(options, await serviceLog(options.verbose), 'check the store');
  const stopped = untilStopped();
  await checkWhenDue(machine, stopped).catch((error: unknown) => {
    if (!stopped.aborted) throw error;
  });
  return exitCodes.done;
}
