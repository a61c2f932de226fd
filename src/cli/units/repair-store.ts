import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { runVerb, serviceLog } from '../terminal/output.ts';

interface RepairStoreOptions extends TargetOptions {
  readonly now?: boolean;
}

/** What nixmaker-repair.service runs, and `nixmaker repair` where the store is mounted read-only; not meant for people. */
export function defineRepairStore(program: Command): void {
  const command = program
    .command('repair-store', { hidden: true })
    .description('put whole contents in the place of damaged ones (root, with mounts of its own)')
    .option('--now', 'without being asked by the agent');
  addTargetOptions(command).action((options: RepairStoreOptions) =>
    runVerb(() => repairStore(options), options),
  );
}

async function repairStore(options: RepairStoreOptions): Promise<number> {
  const { openAsRoot } = await import('../target/open.ts');
  const machine = await openAsRoot(options, await serviceLog(options.verbose), 'repair the store');
  if (options.now === true) {
    const { makeStoreWritable, repairDamaged } = await import('../../target/root/repair.ts');
    await makeStoreWritable(machine);
    await repairDamaged(machine);
  } else {
    const { serveRepairs } = await import('../../target/root/serve-repairs.ts');
    await serveRepairs(machine);
  }
  return exitCodes.done;
}
