import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { runVerb, serviceLog } from '../terminal/output.ts';

/** What nixmaker-receipts.service runs when a medium is done with; not meant for people. */
export function defineWriteReceipts(program: Command): void {
  const command = program
    .command('write-receipts', { hidden: true })
    .description('write receipts to the media the agent has finished with (root)');
  addTargetOptions(command).action((options: TargetOptions) =>
    runVerb(() => writeReceipts(options), options),
  );
}

async function writeReceipts(options: TargetOptions): Promise<number> {
  const { openAsRoot } = await import('../target/open.ts');
  const { serveVisits } = await import('../../target/root/visit.ts');
  await serveVisits(await openAsRoot(options, await serviceLog(options.verbose), 'write receipts'));
  return exitCodes.done;
}
