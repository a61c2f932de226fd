import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { type JournalRecord, unreadText } from '../../core/run/journal.ts';
import { stateWord } from '../../core/run/state-words.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';

interface HistoryOptions {
  readonly settings?: string;
  readonly json?: boolean;
}

export function defineHistory(program: Command): void {
  program
    .command('history')
    .description('every bundle that came and how it ended')
    .option('--settings <file>', 'settings file')
    .option('--json', 'print JSON')
    .action((options: HistoryOptions) => runVerb(() => history(options), options));
}

/** Of a rollback that came to its end. */
const leftText = ({ state, rolledBackFrom }: JournalRecord): string =>
  typeof rolledBackFrom === 'number' && (state === 'committed' || state === 'pending')
    ? `, rolled back from release ${rolledBackFrom}`
    : '';

async function history({ settings: file, json }: HistoryOptions): Promise<number> {
  const { openSettings } = await import('../../target/machine/machine.ts');
  const { readHistory } = await import('../../target/inspect/status.ts');
  const { table } = await import('../../report/tables.ts');
  const found = await readHistory(await openSettings(file));
  if (json === true) {
    printJson(found);
    return exitCodes.done;
  }
  const rows = found.runs.map((r) => [
    r.at.slice(0, 19).replace('T', ' '),
    r.sequence,
    stateWord(r.state),
    r.code,
    `${r.source}${leftText(r)}`,
  ]);
  if (rows.length === 0) printToStderr(lines`No bundle has come yet.\n`);
  else print(table(['WHEN (UTC)', 'SEQUENCE', 'STATE', 'CODE', 'BUNDLE'], rows));
  const unread = unreadText(found);
  if (unread !== undefined) printToStderr(lines`${unread}.\n`);
  return exitCodes.done;
}
