import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { operation as operationParser } from '../../core/schema.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { runVerb, serviceLog, untilStopped } from '../terminal/output.ts';

/** For the policy: `"approval": { "command": ["…/nixmaker", "ask"] }`. */
export function defineAsk(program: Command): void {
  const command = program
    .command('ask', { hidden: true })
    .description('as the policy’s approval program: ask whoever is at the machine (root)');
  addTargetOptions(command).action((options: TargetOptions) => runVerb(() => ask(options), options));
}

async function ask(options: TargetOptions): Promise<number> {
  const { openAsRoot } = await import('../target/open.ts');
  const { askForApproval } = await import('../../target/root/ask.ts');
  const machine = await openAsRoot(options, await serviceLog(options.verbose), 'ask for approval');
  // As the policy’s programs get them (docs/policy.md, `approval`).
  const { NIXMAKER_SEQUENCE: sequence = '', NIXMAKER_OPERATION: operation } = process.env;
  const asked = {
    sequence: /^\d{1,15}$/.test(sequence) ? Number(sequence) : undefined,
    operation: operationParser.safeParse(operation).data,
  };
  const approved = await askForApproval(machine, asked, untilStopped());
  return approved === true ? exitCodes.done : exitCodes.deferred;
}
