import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import type { EventSink } from '../../core/ports.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { outliveTerminal } from '../terminal/outlive.ts';
import { print, printJson, printToStderr, runVerb, serviceLog, untilStopped } from '../terminal/output.ts';

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

/** A person at a terminal gets steps in words; a service or a script gets the log. */
async function logFor({ once, json, verbose = false }: AgentOptions): Promise<EventSink> {
  if (once !== true || json === true || !process.stderr.isTTY) return serviceLog(verbose);
  const { makeConsoleLog } = await import('../../report/console-log.ts');
  return makeConsoleLog(printToStderr, { verbose, named: true });
}

async function agent(options: AgentOptions): Promise<number> {
  const { openTarget } = await import('../target/open-target.ts');
  const { runAgent, runOnce } = await import('../../target/service/agent.ts');
  const { printReceipt } = await import('../terminal/receipt.ts');
  const { machine, root } = await openTarget(options, await logFor(options));
  if (options.once === true) {
    if (machine.role !== 'agent') outliveTerminal(machine.interruption);
    return runOnce(machine, root, (receipt) => {
      if (options.json === true) return printJson(receipt);
      printReceipt(receipt);
      print(lines`\n`);
    });
  }
  await runAgent(machine, root, untilStopped());
  return exitCodes.done;
}
