import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { localSecond } from '../../report/local-time.ts';
import { print, printJsonLine, runVerb, untilStopped } from '../terminal/output.ts';

interface EventsOptions {
  readonly settings?: string;
  readonly follow?: boolean;
  readonly json?: boolean;
}

export function defineEvents(program: Command): void {
  program
    .command('events')
    .description('show every step of every bundle, oldest first')
    .option('-f, --follow', 'keep running and show each step as it happens')
    .option('--settings <file>', 'settings file')
    .option('--json', 'print one JSON object per line')
    .action((options: EventsOptions) => runVerb(() => events(options), options));
}

async function events({ settings: file, follow, json }: EventsOptions): Promise<number> {
  const { openSettings } = await import('../../target/machine/machine.ts');
  const { readEvents } = await import('../../target/inspect/status.ts');
  const settings = await openSettings(file);
  const tell = (record: Awaited<ReturnType<typeof readEvents>>[number]) => {
    if (json === true) return printJsonLine(record);
    const { at, transaction, state, sequence, code, source } = record;
    const which = `${sequence === undefined ? '' : `#${sequence} `}${source}`;
    print(
      lines`${localSecond(at)}  ${transaction}  ${state}${code === undefined ? '' : ` (${code})`}  ${which}\n`,
    );
  };
  if (follow === true) {
    const { followEvents } = await import('../../target/inspect/follow.ts');
    await followEvents(settings, { signal: untilStopped(), tell });
  } else for (const record of await readEvents(settings)) tell(record);
  return exitCodes.done;
}
