import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { print, printJson, runVerb } from '../terminal/output.ts';
import { addTargetOptions, type TargetOptions } from './options.ts';

export function defineAgeKey(program: Command): void {
  const command = program
    .command('age-key')
    .summary('print the age recipient for this machine')
    .description('print the age recipient for encrypting bundles to this machine; created on first use');
  addTargetOptions(command).action((options: TargetOptions) => runVerb(() => ageKey(options), options));
}

async function ageKey(options: TargetOptions): Promise<number> {
  const { openAsRoot } = await import('./open.ts');
  const { ageRecipients } = await import('../../target/machine/age-key.ts');
  const machine = await openAsRoot(options, () => undefined, 'create it');
  const recipients = await ageRecipients(machine);
  if (options.json === true) printJson({ schema: 1, recipients });
  else for (const recipient of recipients) print(lines`${recipient}\n`);
  return exitCodes.done;
}
