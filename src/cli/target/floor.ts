import { type Command, InvalidArgumentError } from 'commander';
import { exitCodes, NixmakerError } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { timestamp } from '../../core/schema.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';
import { addTargetOptions, sequenceNumber, type TargetOptions } from './options.ts';

interface FloorOptions extends TargetOptions {
  readonly sequence?: number;
  readonly time?: string;
}

export function defineFloor(program: Command): void {
  const group = program
    .command('floor')
    .summary('show or restore the newest sequence taken')
    .description('show or restore the newest sequence taken; nothing below it is taken');
  addTargetOptions(group.command('show', { isDefault: true }).description('show it')).action(
    (options: TargetOptions) => runVerb(() => show(options), options),
  );
  const adopt = group
    .command('adopt')
    .description(
      'restore a lost floor from the journal or from --sequence; bundles are taken again afterwards',
    )
    .option(
      '--sequence <number>',
      'the newest sequence this machine has taken, as far as you know',
      sequenceNumber,
    )
    .option(
      '--time <time>',
      'move the newest signed time seen back to this (like 2026-11-28T12:00:00Z), after taking a bundle with a wrong time',
      time,
    );
  addTargetOptions(adopt).action((options: FloorOptions) => runVerb(() => adoptIt(options), options));
}

function time(text: string): string {
  if (!timestamp.safeParse(text).success)
    throw new InvalidArgumentError('Must be a UTC time, like 2026-11-28T12:00:00Z.');
  return text;
}

async function show(options: TargetOptions): Promise<number> {
  const { openSettings } = await import('../../target/machine/machine.ts');
  const { readFloorHere } = await import('../../target/inspect/known-floor.ts');
  const { floor, doubt } = await readFloorHere(await openSettings(options.settingsFile));
  if (options.json === true)
    printJson({ schema: 1, ok: doubt === undefined, lost: doubt ?? null, floor: floor ?? null });
  else if (doubt !== undefined) print(lines`lost: ${doubt}. See \`nixmaker floor adopt --help\`.\n`);
  else print(floor === undefined ? lines`none: no bundle taken yet\n` : lines`${floor.sequence}\n`);
  if (floor !== undefined && options.json !== true)
    printToStderr(lines`The newest signed time seen is ${floor.createdAt}.\n`);
  return doubt === undefined ? exitCodes.done : exitCodes.deferred;
}

async function adoptIt(options: FloorOptions): Promise<number> {
  const { openAsRoot } = await import('./open.ts');
  const { adoptFloor, adoptTime } = await import('../../target/root/adopt-floor.ts');
  const { makeConsoleLog } = await import('../../report/console-log.ts');
  const machine = await openAsRoot(
    options,
    makeConsoleLog(printToStderr, { verbose: options.verbose === true }),
    'adopt a floor',
  );
  if (options.time !== undefined) {
    if (options.sequence !== undefined)
      throw new NixmakerError('usage', 'pass --sequence or --time, not both at once');
    const floor = await adoptTime(machine, options.time);
    if (options.json === true) printJson({ schema: 1, ok: true, floor });
    else
      print(lines`The newest signed time seen is now ${floor.createdAt}: clocks from then on are trusted.\n`);
    return exitCodes.done;
  }
  const floor = await adoptFloor(machine, options.sequence);
  if (options.json === true) printJson({ schema: 1, ok: true, floor });
  else print(lines`The floor is ${floor.sequence} again: bundles with a higher sequence are taken.\n`);
  return exitCodes.done;
}
