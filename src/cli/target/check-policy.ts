import type { Command } from 'commander';
import { catalogue } from '../../core/catalogue.ts';
import { exitCodes, messageOf } from '../../core/errors.ts';
import { type Lines, lines } from '../../core/lines.ts';
import type { CheckResult } from '../../target/inspect/explain-bundle.ts';
import { print, printJson, runVerb } from '../terminal/output.ts';

interface CheckPolicyOptions {
  readonly settings?: string;
  readonly json?: boolean;
}

export function defineCheckPolicy(program: Command): void {
  program
    .command('check-policy')
    .summary('explain a policy, and what it means for a bundle')
    .description(
      'explain what a policy file allows, and what it means for a bundle (exit 78 if the policy is invalid)',
    )
    .argument('<policy-file>')
    .argument('[bundle]', 'show, check by check, what this machine would do with it')
    .option('--settings <file>', 'this machine’s settings file')
    .option('--json', 'print JSON')
    .action((file: string, bundle: string | undefined, options: CheckPolicyOptions) =>
      runVerb(() => checkPolicy(file, bundle, options), options),
    );
}

async function checkPolicy(
  file: string,
  bundle: string | undefined,
  { settings, json }: CheckPolicyOptions,
): Promise<number> {
  const { openMachineHere } = await import('./open.ts');
  const { explainPolicy } = await import('../../core/policy/explain.ts');
  const machine = await openMachineHere({ policyFile: file, settingsFile: settings }, () => undefined);
  const says = explainPolicy(machine.policy);
  if (bundle === undefined) {
    if (json === true) printJson({ schema: 1, ok: true, says, policy: machine.policy });
    else for (const sentence of says) print(lines`${sentence}\n`);
    return exitCodes.done;
  }
  const { explainBundle } = await import('../../target/inspect/explain-bundle.ts');
  const results = await explainBundle(machine, bundle);
  const stopped = results.find((r) => r.code !== undefined);
  if (json === true) printJson({ schema: 1, ok: stopped === undefined, checks: results });
  else {
    for (const result of results) print(line(result));
    print(
      stopped === undefined
        ? lines`It would be taken.\n`
        : lines`It would not be taken: ${stopped.code ?? ''}.\n`,
    );
  }
  return stopped?.code === undefined ? exitCodes.done : catalogue[stopped.code].exit;
}

function line({ asks, result, code, detail }: CheckResult): Lines {
  const answer = result === 'passed' ? 'yes' : result === 'skipped' ? '-' : (code ?? result);
  const why = detail === undefined ? '' : `: ${messageOf(detail)}`;
  return lines`${asks.charAt(0).toUpperCase()}${asks.slice(1)} ${answer}${why}\n`;
}
