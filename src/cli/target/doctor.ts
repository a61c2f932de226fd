import { type Command, InvalidArgumentError } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { joined, lines } from '../../core/lines.ts';
import { styledWord } from '../../core/style.ts';
import type { Machine } from '../../target/machine/machine.ts';
import { print, printJson, printToStderr, runVerb, untilStopped } from '../terminal/output.ts';
import { showingBytes } from './contents-progress.ts';

interface DoctorOptions {
  readonly deep?: boolean;
  readonly within?: number;
  readonly settings?: string;
  readonly json?: boolean;
}

export function defineDoctor(program: Command): void {
  program
    .command('doctor')
    .summary('check this machine for problems')
    .description(
      'check this machine: keys, Nix, space, clock, units, systems (exit 1 if no bundle can be taken)',
    )
    .option(
      '--deep',
      'also read the contents of this machine’s systems; what root has read is not read again',
    )
    .option(
      '--within <minutes>',
      'with --deep: stop after so long; root goes on from there next time',
      minutes,
    )
    .option('--settings <file>', 'settings file')
    .option('--json', 'print JSON')
    .action((options: DoctorOptions) => runVerb(() => doctor(options), options));
}

const words = { ok: 'ok', look: 'LOOK', bad: 'BAD' } as const;
const styles = { ok: 'good', look: 'waits', bad: 'bad' } as const;

/** Ctrl-C ends the reading, and what was read until then counts. */
function deepen(machine: Machine, { json, within }: DoctorOptions) {
  const signal = untilStopped();
  return showingBytes(json, async (onProgress) => {
    const { readDeeply } = await import('../../target/inspect/doctor.ts');
    return readDeeply(machine, within, { onProgress, signal });
  });
}

function minutes(text: string): number {
  if (!/^[1-9][0-9]{0,5}$/.test(text)) throw new InvalidArgumentError('Must be a number of minutes.');
  return Number(text);
}

async function doctor(options: DoctorOptions): Promise<number> {
  const { settings, json, deep } = options;
  const { openMachineHere } = await import('./open.ts');
  const { diagnose } = await import('../../target/inspect/doctor.ts');
  const { hanging } = await import('../../report/tables.ts');
  const machine = await openMachineHere({ settingsFile: settings }, () => undefined);
  const read = deep === true ? await deepen(machine, options) : undefined;
  const found = await diagnose(machine, read);
  const isBad = found.some((d) => d.verdict === 'bad');
  if (json === true) printJson({ schema: 1, ok: !isBad, checks: found });
  else {
    const width = Math.max(...found.map((d) => d.check.length));
    for (const { check, verdict, what, next } of found) {
      const line = hanging(lines`${words[verdict].padEnd(4)}  ${check.padEnd(width)}  ${what}`, width + 8);
      print(joined([styledWord(line, styles[verdict]), lines`\n`]));
      if (next !== undefined)
        print(joined([hanging(lines`${' '.repeat(width + 8)}→ ${next}`, width + 10), lines`\n`]));
    }
    const count = found.filter((d) => d.verdict !== 'ok').length;
    printToStderr(
      count === 0
        ? lines`Nothing to do.\n`
        : lines`${count} to look at${isBad ? '; no bundle can be taken safely' : ''}.\n`,
    );
  }
  return isBad ? exitCodes.fault : exitCodes.done;
}
