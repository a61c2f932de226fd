import type { Command } from 'commander';
import { catalogue, worstExit } from '../../core/catalogue.ts';
import { joined, lines } from '../../core/lines.ts';
import type { Collected } from '../../desk/fleet/receipts.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';

interface CollectFlags {
  readonly directory: string;
  readonly enrol?: boolean;
  readonly json?: boolean;
}

export function defineCollect(program: Command): void {
  program
    .command('collect')
    .description('verify the receipts on media that came back, and keep them')
    .argument('<medium...>')
    .option('-d, --directory <directory>', 'where keys and receipts are kept', 'fleet')
    .option('--enrol', 'believe hosts that are not known yet, this first time')
    .option('--json', 'print JSON')
    .action((media: string[], flags: CollectFlags) => runVerb(() => collectMedia(media, flags), flags));
}

async function collectMedia(
  media: readonly string[],
  { directory, enrol = false, json }: CollectFlags,
): Promise<number> {
  const { collectReceipts } = await import('../../desk/fleet/receipts.ts');
  const results = await collectReceipts({ media, directory, enrol });
  const exit = worstExit(results.flatMap((r) => (r.code === undefined ? [] : [catalogue[r.code].exit])));
  if (json === true) printJson({ schema: 1, ok: exit === 0, receipts: results });
  else await summarise(results);
  return exit;
}

async function summarise(results: readonly Collected[]): Promise<void> {
  const { explain, table } = await import('../../report/tables.ts');
  if (results.length === 0) {
    printToStderr(lines`There is no receipt there.\n`);
    return;
  }
  const rows = results.map((r) => [
    r.host,
    r.sequence,
    r.state,
    r.enrolled === true ? `${r.status}, host enrolled` : r.status,
  ]);
  print(table(['HOST', 'SEQUENCE', 'STATE', 'RECEIPT'], rows));
  for (const { code, detail = '', file } of results)
    if (code !== undefined) printToStderr(joined([lines`\n${file}: `, explain(code, detail)]));
}
