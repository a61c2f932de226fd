import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { joined, lines } from '../../core/lines.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { outliveTerminal } from '../terminal/outlive.ts';
import { print, printJson, runVerb, serviceLog, untilStopped } from '../terminal/output.ts';

interface AgentOptions extends TargetOptions {
  readonly once?: boolean;
}

export function defineAgent(program: Command): void {
  const command = program
    .command('agent')
    .description('watch the inbox and take bundles as they arrive')
    .option('--once', 'take what is there, then exit with the code of the worst result');
  addTargetOptions(command).action((options: AgentOptions) => runVerb(() => agent(options), options));
}

async function agent(options: AgentOptions): Promise<number> {
  const { openTarget } = await import('../target/open-target.ts');
  const { runAgent, runOnce } = await import('../../target/service/agent.ts');
  const { receiptText } = await import('../../core/run/receipt.ts');
  const { machine, root } = await openTarget(options, await serviceLog(options.verbose));
  if (options.once === true) {
    if (machine.role !== 'agent') outliveTerminal(machine.interruption);
    return runOnce(machine, root, (receipt) =>
      options.json === true ? printJson(receipt) : print(joined([receiptText(receipt), lines`\n`])),
    );
  }
  await runAgent(machine, root, untilStopped());
  return exitCodes.done;
}
