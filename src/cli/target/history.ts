import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { type JournalRecord, unreadText } from '../../core/run/journal.ts';
import { stateWord } from '../../core/run/state-words.ts';
import { localSecond } from '../../report/local-time.ts';
import { columns, print, printJson, printToStderr, runVerb } from '../terminal/output.ts';
import { styleOfState } from '../terminal/receipt.ts';

interface HistoryOptions {
  readonly settings?: string;
  readonly json?: boolean;
}

export function defineHistory(program: Command): void {
  program
    .command('history')
    .description('show every bundle that arrived and how it ended')
    .option('--settings <file>', 'settings file')
    .option('--json', 'print JSON')
    .action((options: HistoryOptions) => runVerb(() => history(options), options));
}

/** For a rollback that completed. */
const leftText = ({ state, rolledBackFrom }: JournalRecord): string =>
  typeof rolledBackFrom === 'number' && (state === 'committed' || state === 'pending')
    ? `, rolled back from release ${rolledBackFrom}`
    : '';

async function history({ settings: file, json }: HistoryOptions): Promise<number> {
  const { openSettings } = await import('../../target/machine/machine.ts');
  const { readHistory } = await import('../../target/inspect/status.ts');
  const { table } = await import('../../report/columns.ts');
  const found = await readHistory(await openSettings(file));
  if (json === true) {
    printJson(found);
    return exitCodes.done;
  }
  const rows = found.runs.map((r) => [
    localSecond(r.at),
    r.sequence,
    stateWord(r.state),
    r.code,
    `${r.source}${leftText(r)}`,
  ]);
  const style = (row: number, column: number) =>
    column === 2 ? styleOfState(found.runs[row]?.state ?? '') : undefined;
  if (rows.length === 0) printToStderr(lines`No bundle has arrived yet.\n`);
  else print(table(['WHEN', 'SEQUENCE', 'STATE', 'CODE', 'BUNDLE'], rows, { width: columns(), style }));
  const unread = unreadText(found);
  if (unread !== undefined) printToStderr(lines`${unread}.\n`);
  return exitCodes.done;
}
