import type { Command } from 'commander';
import { catalogue } from '../../core/catalogue.ts';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { type ContentsRecord, type DamagedPath, damageText } from '../../core/run/damage.ts';
import type { Unusable } from '../../target/service/repair.ts';
import { outliveTerminal } from '../terminal/outlive.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';
import { showingBytes } from './contents-progress.ts';
import { addTargetOptions, type TargetOptions } from './options.ts';

export function defineRepair(program: Command): void {
  const command = program
    .command('repair')
    .summary('find damaged store paths, and repair them from a bundle')
    .description(
      'read the contents of this machine’s systems, and repair what is damaged from a bundle, a medium, or whatever is at hand',
    )
    .argument(
      '[source]',
      'a bundle, or the folder of a medium (default: all media, and bundles kept in the inbox)',
    );
  addTargetOptions(command).action((source: string | undefined, options: TargetOptions) =>
    runVerb(() => repair(source, options), options),
  );
}

async function repair(source: string | undefined, options: TargetOptions): Promise<number> {
  const { openAsRoot } = await import('./open.ts');
  const { rootDirect } = await import('../../target/root/direct.ts');
  const { repairByHand } = await import('../../target/service/repair.ts');
  const { makeConsoleLog } = await import('../../report/console-log.ts');
  const log = makeConsoleLog(printToStderr, { verbose: options.verbose === true });
  const machine = await openAsRoot(options, log, 'repair the store');
  outliveTerminal(machine.interruption);
  const unusable: Unusable[] = [];
  const { repaired, record } = await showingBytes(options.json, (onProgress) =>
    repairByHand(machine, rootDirect(machine), { source, onProgress, onUnusable: (u) => unusable.push(u) }),
  );
  const outcome = { repaired, record, unusable };
  if (options.json === true) printJson(asJson(outcome));
  else tell(outcome);
  return isWhole(outcome) ? exitCodes.done : catalogue['store-corrupt'].exit;
}

interface Outcome {
  readonly repaired: readonly DamagedPath[];
  readonly record: ContentsRecord;
  readonly unusable: readonly Unusable[];
}

const isWhole = ({ record }: Outcome) => record.damaged.length + record.more === 0;

const asJson = (outcome: Outcome) => ({
  schema: 1,
  ok: isWhole(outcome),
  paths: outcome.record.paths,
  unsigned: outcome.record.unsigned,
  repaired: outcome.repaired,
  damaged: outcome.record.damaged,
  more: outcome.record.more,
  unusable: outcome.unusable,
});

function tell(outcome: Outcome): void {
  const { repaired, record, unusable } = outcome;
  const { damaged, more, paths } = record;
  for (const known of repaired) print(lines`Repaired ${damageText(known)}\n`);
  for (const known of damaged)
    print(lines`Damaged  ${damageText(known)}
`);
  if (more > 0)
    print(lines`Damaged  and ${more} more
`);
  if (isWhole(outcome))
    print(lines`All ${paths} store paths of this machine’s systems are whole.
`);
  else {
    for (const { file, code, detail } of unusable)
      printToStderr(lines`${file}: not used: ${code}: ${detail}
`);
    const { what, next } = catalogue['store-corrupt'];
    printToStderr(lines`nixmaker: ${what} (store-corrupt)
${next}
`);
  }
}
