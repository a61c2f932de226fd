import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';

export function defineStoreKey(program: Command): void {
  const command = program
    .command('store-key')
    .summary('print the key by which root vouches for paths to Nix')
    .description('create and print the key by which root vouches for paths to this machine’s Nix');
  addTargetOptions(command).action((options: TargetOptions) => runVerb(() => storeKey(options), options));
}

async function storeKey(options: TargetOptions): Promise<number> {
  const { openAsRoot } = await import('../target/open.ts');
  const { makeStoreKey, nixTrusts } = await import('../../target/root/store-key.ts');
  const { storeKeyConf } = await import('../../target/machine/store-public-key.ts');
  const machine = await openAsRoot(options, () => undefined, 'create it');
  const key = await makeStoreKey(machine);
  const trusted = await nixTrusts(machine, key);
  if (options.json === true) printJson({ schema: 1, storeKey: key, conf: storeKeyConf(machine), trusted });
  else print(lines`${key}\n`);
  if (!trusted)
    printToStderr(
      lines`Nix does not trust it yet. Add this line to nix.conf, then restart nix-daemon:\n!include ${storeKeyConf(machine)}\n`,
    );
  return exitCodes.done;
}
