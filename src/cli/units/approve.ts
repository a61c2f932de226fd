import { type Command, InvalidArgumentError } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { runId } from '../../core/run/screen.ts';
import { addTargetOptions, type TargetOptions } from '../target/options.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';

interface ApproveOptions extends TargetOptions {
  readonly refuse?: boolean;
}

export function defineApprove(program: Command): void {
  const command = program
    .command('approve')
    .argument('[id]', 'the question’s id (default: whichever is asked)', questionId)
    .description('answer the policy’s question, asked by `nixmaker ask`: install')
    .option('--refuse', 'answer “not now” instead');
  addTargetOptions(command).action((id: string | undefined, options: ApproveOptions) =>
    runVerb(() => approve(id, options), options),
  );
}

function questionId(id: string): string {
  if (!runId.safeParse(id).success)
    throw new InvalidArgumentError('Must be the id of a question: 12 hexadecimal digits.');
  return id;
}

async function approve(id: string | undefined, options: ApproveOptions): Promise<number> {
  const { openAsRoot } = await import('../target/open.ts');
  const { answerQuestion } = await import('../../target/root/answer.ts');
  const { makeConsoleLog } = await import('../../report/console-log.ts');
  const log = makeConsoleLog(printToStderr, { verbose: options.verbose === true });
  const machine = await openAsRoot(options, log, 'approve an installation');
  const approved = options.refuse !== true;
  const sequence = await answerQuestion(machine, { id, approved });
  if (options.json === true) printJson({ schema: 1, ok: true, approved, sequence: sequence ?? null });
  else
    print(
      lines`${approved ? 'Approved' : 'Not now'}: ${sequence === undefined ? 'the bundle' : `release ${String(sequence)}`}.\n`,
    );
  return exitCodes.done;
}
