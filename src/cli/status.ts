import type { Command } from 'commander';
import { exitCodes } from '../core/errors.ts';
import { print, printJson, runVerb } from './output.ts';

interface StatusOptions {
  readonly settings?: string;
  readonly json?: boolean;
}

export function defineStatus(program: Command): void {
  program
    .command('status')
    .description('what runs, what is pending, what became of the last bundle')
    .option('--settings <file>', 'settings file')
    .option('--json', 'print JSON')
    .action((options: StatusOptions) => runVerb(() => status(options), options));
}

async function status({ settings: file, json }: StatusOptions): Promise<number> {
  const { openSettings } = await import('../agent/machine.ts');
  const { readStatus } = await import('../agent/status.ts');
  const { bytes, fields, table } = await import('../report/tables.ts');
  const found = await readStatus(await openSettings(file));
  if (json === true) {
    printJson(found);
    return exitCodes.done;
  }
  const { last } = found;
  print(
    fields([
      ['Running', found.running ?? 'unknown'],
      [
        'Installed',
        found.profile === undefined ? 'nothing' : `${found.profile} (generation ${found.generation})`,
      ],
      ['Pending', found.pending ? 'yes: what is installed is not what runs; restart or switch' : 'no'],
      ['Awaiting', found.awaiting?.detail],
      ['Restart for', found.restartChanges.length === 0 ? undefined : found.restartChanges.join(', ')],
      [
        'Last bundle',
        last === undefined
          ? 'none yet'
          : `${last.state}${last.code === undefined ? '' : ` (${last.code})`}: ${last.source}`,
      ],
      ['When', last?.at],
      [
        'Sequence',
        found.floorLost === undefined
          ? (found.floor?.sequence ?? 'none taken yet')
          : `lost: ${found.floorLost}. Nothing is taken; see \`nixmaker floor adopt --help\``,
      ],
      [
        'Keyring',
        found.keyring === undefined
          ? undefined
          : `version ${found.keyring} (counts where the policy’s is older)`,
      ],
      ['Waiting', found.waiting.length === 0 ? 'nothing' : found.waiting.join(', ')],
      [
        'Damaged',
        found.unreadable === 0 ? undefined : `${found.unreadable} lines of the journal can’t be read`,
      ],
    ]),
  );
  if (found.disks.length > 0) {
    print(
      `\n${table(
        ['DISK', 'ON', 'FREE', 'OF'],
        found.disks.map((d) => [d.fileSystem, d.mounted, bytes(d.freeBytes), bytes(d.totalBytes)]),
      )}`,
    );
  }
  return exitCodes.done;
}
