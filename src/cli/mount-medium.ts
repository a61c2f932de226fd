import type { Command } from 'commander';
import { exitCodes } from '../core/errors.ts';
import { runVerb, serviceLog } from './output.ts';
import { addTargetOptions, type TargetOptions } from './target-options.ts';

interface MountMediumOptions extends TargetOptions {
  readonly remove?: boolean;
}

/** What nixmaker-medium@.service runs when a medium comes or goes; not meant for people, who have mount(8). */
export function defineMountMedium(program: Command): void {
  const command = program
    .command('mount-medium', { hidden: true })
    .description('mount a medium if the policy says so')
    .argument('<name>', 'of the device below /dev')
    .option('--remove', 'unmount it');
  addTargetOptions(command).action((name: string, options: MountMediumOptions) =>
    runVerb(() => mountMedium(name, options), options),
  );
}

async function mountMedium(name: string, options: MountMediumOptions): Promise<number> {
  const { openMachine } = await import('../agent/machine.ts');
  const { mountByPolicy, unmountByName } = await import('../agent/mount-medium.ts');
  const machine = await openMachine({ ...options, emit: await serviceLog() });
  await (options.remove === true ? unmountByName(machine, name) : mountByPolicy(machine, name));
  return exitCodes.done;
}
