import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { runVerb, serviceLog } from '../terminal/output.ts';

/** What nixmaker-medium@.service runs when a medium comes; not meant for people, who have mount(8). */
export function defineMountMedium(program: Command): void {
  const command = program
    .command('mount-medium', { hidden: true })
    .description('mount a medium if the policy allows it')
    .argument('<name>', 'device name below /dev');
  addTargetOptions(command).action((name: string, options: TargetOptions) =>
    runVerb(() => mountMedium(name, options), options),
  );
}

async function mountMedium(name: string, options: TargetOptions): Promise<number> {
  const { openMachineHere } = await import('../target/open.ts');
  const { mountByPolicy } = await import('../../target/root/mount-medium.ts');
  await mountByPolicy(await openMachineHere(options, await serviceLog()), name);
  return exitCodes.done;
}
