import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';

interface DoctorOptions {
  readonly settings?: string;
  readonly json?: boolean;
}

export function defineDoctor(program: Command): void {
  program
    .command('doctor')
    .description(
      'find what is wrong, or soon will be: keys, Nix, space, clock, units, what runs. Exit 1: no bundle can be taken',
    )
    .option('--settings <file>', 'settings file')
    .option('--json', 'print JSON')
    .action((options: DoctorOptions) => runVerb(() => doctor(options), options));
}

const words = { ok: 'ok', look: 'LOOK', bad: 'BAD' } as const;

async function doctor({ settings, json }: DoctorOptions): Promise<number> {
  const { openMachineHere } = await import('./open.ts');
  const { diagnose } = await import('../../target/inspect/doctor.ts');
  const { printable } = await import('../../core/errors.ts');
  const { hanging } = await import('../../report/tables.ts');
  const machine = await openMachineHere({ settingsFile: settings }, () => undefined);
  const found = await diagnose(machine);
  const isBad = found.some((d) => d.verdict === 'bad');
  if (json === true) printJson({ schema: 1, ok: !isBad, checks: found });
  else {
    const width = Math.max(...found.map((d) => d.check.length));
    for (const { check, verdict, what, next } of found) {
      print(
        `${hanging(`${words[verdict].padEnd(4)}  ${check.padEnd(width)}  ${printable(what)}`, width + 8)}\n`,
      );
      if (next !== undefined)
        print(`${hanging(`${' '.repeat(width + 8)}→ ${printable(next)}`, width + 10)}\n`);
    }
    const count = found.filter((d) => d.verdict !== 'ok').length;
    printToStderr(
      count === 0
        ? 'Nothing to be done.\n'
        : `${count} to look at${isBad ? '; no bundle can be taken safely' : ''}.\n`,
    );
  }
  return isBad ? exitCodes.fault : exitCodes.done;
}
