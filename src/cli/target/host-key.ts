import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { print, printJson, runVerb } from '../terminal/output.ts';
import { addTargetOptions, type TargetOptions } from './options.ts';

export function defineHostKey(program: Command): void {
  const command = program
    .command('host-key')
    .summary('print the key that signs this machine’s receipts')
    .description('print the public key by which the desk recognises this machine’s receipts');
  addTargetOptions(command).action((options: TargetOptions) => runVerb(() => hostKey(options), options));
}

async function hostKey(options: TargetOptions): Promise<number> {
  const { openMachineHere } = await import('./open.ts');
  const { readHostKey } = await import('../../target/root/host-key.ts');
  const key = await readHostKey(await openMachineHere(options, () => undefined));
  if (options.json === true) printJson({ schema: 1, hostKey: key });
  else print(lines`${key}\n`);
  return exitCodes.done;
}
