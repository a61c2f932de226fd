import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { runVerb, serviceLog } from '../output.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';

/** What nixmaker-receipts.service runs when a medium is done with; not meant for people. */
export function defineWriteReceipts(program: Command): void {
  const command = program
    .command('write-receipts', { hidden: true })
    .description('write receipts to the media that the agent is done with (root)');
  addTargetOptions(command).action((options: TargetOptions) =>
    runVerb(() => writeReceipts(options), options),
  );
}

async function writeReceipts(options: TargetOptions): Promise<number> {
  const { openMachine } = await import('../../target/machine/machine.ts');
  const { serveVisits } = await import('../../target/root/visit.ts');
  await serveVisits(await openMachine({ ...options, emit: await serviceLog(options.verbose) }));
  return exitCodes.done;
}
