import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import type { FleetHost } from '../../desk/fleet/receipts.ts';
import { print, printJson, printToStderr, runVerb } from '../output.ts';

interface FleetFlags {
  readonly directory: string;
  readonly json?: boolean;
  readonly html?: string;
  readonly bundles?: string;
  readonly staleAfter: string;
}

export function defineFleet(program: Command): void {
  program
    .command('fleet')
    .description('how the hosts are, by the receipts that were collected')
    .option('-d, --directory <directory>', 'where `nixmaker collect` keeps them', 'fleet')
    .option('--html <file>', 'write a page that needs nothing else: for a phone, a printer, a colleague')
    .option(
      '--bundles <directory>',
      'for the page: where `nixmaker build` put the newest, to say who needs one',
    )
    .option(
      '--stale-after <days>',
      'for the page: days without a visit after which a host is called out',
      '60',
    )
    .option('--json', 'print JSON')
    .action((flags: FleetFlags) => runVerb(() => fleet(flags), flags));
}

async function fleet(flags: FleetFlags): Promise<number> {
  const { readFleet } = await import('../../desk/fleet/receipts.ts');
  const hosts = await readFleet(flags.directory);
  if (flags.html !== undefined) await writePage(hosts, { ...flags, html: flags.html });
  else if (flags.json === true) printJson({ schema: 1, hosts: hosts.map(withoutPaths) });
  else if (hosts.length === 0)
    printToStderr('No receipt has been collected yet (nixmaker collect MEDIUM).\n');
  else await showTable(hosts);
  return exitCodes.done;
}

async function writePage(
  hosts: readonly FleetHost[],
  { html, bundles, staleAfter }: FleetFlags & { readonly html: string },
): Promise<void> {
  const { NixmakerError } = await import('../../core/errors.ts');
  const { readNewest, writeText } = await import('../../desk/fleet/newest-bundles.ts');
  const { renderFleetPage } = await import('../../report/fleet-page.ts');
  const days = Number(staleAfter);
  if (!(days > 0)) throw new NixmakerError('usage', `--stale-after ${staleAfter} is no number of days`);
  const available = bundles === undefined ? new Map() : await readNewest(bundles);
  const page = renderFleetPage({
    now: new Date(),
    staleAfter: days,
    hosts: hosts.map(({ host, last: { at, run, now }, runs }) => ({
      host,
      at,
      runs: runs.map((r) => ({ at: r.at, state: r.state, code: r.code, sequence: r.sequence })),
      detail: run?.detail,
      sequence: now?.floor,
      versions: now?.versions ?? {},
      failedUnits: now?.failedUnits,
      freeBytes: now?.space[0]?.freeBytes,
      restartNeeded: now?.installed !== undefined && now.installed !== now.running,
      available: available.get(host),
    })),
  });
  await writeText(html, page);
  printToStderr(`${html}: ${hosts.length} hosts\n`);
}

/** The list of store paths is for `build --since`. */
function withoutPaths({ last, runs: _, ...rest }: FleetHost) {
  const { now, ...others } = last;
  if (now === undefined) return { ...rest, last: others };
  const { paths: _paths, ...told } = now;
  return { ...rest, last: { ...others, now: told } };
}

async function showTable(hosts: readonly FleetHost[]): Promise<void> {
  const { bytes, table } = await import('../../report/tables.ts');
  const rows = hosts.map(({ host, last: { at, run, now } }) => {
    const [store] = now?.space ?? [];
    return [
      host,
      now?.floor,
      run === undefined ? undefined : `${run.state}${run.code === undefined ? '' : ` (${run.code})`}`,
      // `26.05`: the rest is a date and a commit, which the page and --json have.
      now?.versions.nixos?.split('.').slice(0, 2).join('.'),
      now?.failedUnits?.length,
      store === undefined ? undefined : bytes(store.freeBytes),
      at.slice(0, 10),
    ];
  });
  print(table(['HOST', 'SEQUENCE', 'LAST', 'NIXOS', 'FAILED', 'FREE', 'VISITED'], rows));
}
