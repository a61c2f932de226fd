import type { Command } from 'commander';
import type { FleetHost } from '../builder/receipts.ts';
import { exitCodes } from '../core/errors.ts';
import { print, printJson, runVerb, talk } from './output.ts';

interface FleetFlags {
  readonly directory: string;
  readonly json?: boolean;
}

export function defineFleet(program: Command): void {
  program
    .command('fleet')
    .description('how the hosts are, by the receipts that were collected')
    .option('-d, --directory <directory>', 'where `nixmaker collect` keeps them', 'fleet')
    .option('--json', 'print JSON')
    .action((flags: FleetFlags) => runVerb(() => fleet(flags), flags));
}

async function fleet({ directory, json }: FleetFlags): Promise<number> {
  const { readFleet } = await import('../builder/receipts.ts');
  const hosts = await readFleet(directory);
  if (json === true) printJson({ schema: 1, hosts: hosts.map(withoutPaths) });
  else if (hosts.length === 0) talk('No receipt has been collected yet (nixmaker collect MEDIUM).\n');
  else await showTable(hosts);
  return exitCodes.done;
}

/** The list of store paths is for `build --since`. */
function withoutPaths({ last, ...rest }: FleetHost) {
  const { now, ...others } = last;
  if (now === undefined) return { ...rest, last: others };
  const { paths: _, ...told } = now;
  return { ...rest, last: { ...others, now: told } };
}

async function showTable(hosts: readonly FleetHost[]): Promise<void> {
  const { bytes, table } = await import('../report/tables.ts');
  const rows = hosts.map(({ host, last: { at, run, now } }) => {
    const [store] = now?.space ?? [];
    return [
      host,
      now?.floor,
      run === undefined ? undefined : `${run.state}${run.code === undefined ? '' : ` (${run.code})`}`,
      now?.versions.nixos,
      now?.failedUnits?.length,
      store === undefined ? undefined : bytes(store.freeBytes),
      at.slice(0, 16).replace('T', ' '),
    ];
  });
  print(table(['HOST', 'SEQUENCE', 'LAST', 'NIXOS', 'FAILED UNITS', 'FREE', 'VISITED (UTC)'], rows));
}
