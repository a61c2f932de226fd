import type { Command } from 'commander';
import { catalogue, worstExit } from '../../core/catalogue.ts';
import { NixmakerError } from '../../core/errors.ts';
import { joined, lines } from '../../core/lines.ts';
import { stateWord } from '../../core/run/state-words.ts';
import type { Collected } from '../../desk/fleet/collect.ts';
import type { Replaced } from '../../desk/fleet/former.ts';
import { columns, print, printJson, printToStderr, runVerb } from '../terminal/output.ts';

interface CollectFlags {
  readonly directory: string;
  readonly enrol?: boolean;
  readonly replace?: string;
  readonly reason?: string;
  readonly json?: boolean;
}

export function defineCollect(program: Command): void {
  program
    .command('collect')
    .description('verify the receipts on returned media and store them')
    .argument('<medium...>')
    .option('-d, --directory <directory>', 'where keys and receipts are stored', 'fleet')
    .option('--enrol', 'trust the keys of new hosts on first contact')
    .option(
      '--replace <host>',
      'trust this host’s new key from now on, because the machine was reinstalled; receipts signed by the old key are set aside',
    )
    .option('--reason <text>', 'with --replace: why')
    .option('--json', 'print JSON')
    .action((media: string[], flags: CollectFlags) => runVerb(() => collectMedia(media, flags), flags));
}

async function collectMedia(media: readonly string[], flags: CollectFlags): Promise<number> {
  const { collectReceipts } = await import('../../desk/fleet/collect.ts');
  const { inFleetTurn } = await import('../../desk/fleet/folder.ts');
  const { directory, enrol = false, json } = flags;
  const now = new Date();
  const { replaced, results } = await inFleetTurn(directory, {
    work: async () => ({
      replaced: await replace(media, flags, now),
      results: await collectReceipts({ media, directory, enrol, now }),
    }),
    onWait: (who) => printToStderr(lines`waiting for ${who}, which is using ${directory}\n`),
  });
  const exit = worstExit(results.flatMap((r) => (r.code === undefined ? [] : [catalogue[r.code].exit])));
  if (json === true) printJson({ schema: 1, ok: exit === 0, replaced, receipts: results });
  else {
    if (replaced !== undefined) sayReplaced(replaced);
    await summarise(results);
  }
  return exit;
}

async function replace(
  media: readonly string[],
  { directory, replace: host, reason }: CollectFlags,
  now: Date,
): Promise<Replaced | undefined> {
  if (host === undefined && reason === undefined) return undefined;
  if (host === undefined || reason === undefined || reason.trim() === '' || reason.length > 1000)
    throw new NixmakerError('usage', '--replace HOST and --reason TEXT must be used together');
  const { replaceInstallation } = await import('../../desk/fleet/former.ts');
  return replaceInstallation({ media, directory, host, reason, now });
}

function sayReplaced({ host, key, newKey, folder }: Replaced): void {
  printToStderr(lines`${host}: now trusting ${newKey} instead of ${key}, whose receipts are in ${folder}.\n`);
}

async function summarise(results: readonly Collected[]): Promise<void> {
  const { table } = await import('../../report/columns.ts');
  const { explain } = await import('../../report/tables.ts');
  if (results.length === 0) {
    printToStderr(lines`No receipts found.\n`);
    return;
  }
  const rows = results.map((r) => [
    r.host,
    r.sequence,
    r.state === undefined ? undefined : stateWord(r.state),
    r.enrolled === true
      ? `${r.status}, host enrolled`
      : r.files === undefined
        ? r.status
        : `${r.files} more, known or older`,
  ]);
  print(table(['HOST', 'SEQUENCE', 'STATE', 'RECEIPT'], rows, { width: columns() }));
  for (const { code, detail = '', file } of results)
    if (code !== undefined) printToStderr(joined([lines`\n${file}: `, explain(code, detail, 'desk')]));
}
