import type { Command } from 'commander';
import { exitCodes, NixmakerError } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import type { AgentClaim, HostReceipt } from '../../core/run/host-receipt.ts';
import type { FleetHost } from '../../desk/fleet/receipts.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';

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
    printToStderr(lines`No receipt has been collected yet (nixmaker collect MEDIUM).\n`);
  else await showTable(hosts);
  return exitCodes.done;
}

async function writePage(
  hosts: readonly FleetHost[],
  { html, bundles, staleAfter }: FleetFlags & { readonly html: string },
): Promise<void> {
  const { writeFleetPage } = await import('../../desk/fleet/page.ts');
  const days = Number(staleAfter);
  if (!(days > 0)) throw new NixmakerError('usage', `--stale-after ${staleAfter} is no number of days`);
  await writeFleetPage(hosts, { file: html, bundles, staleAfter: days, now: new Date() });
  printToStderr(lines`${html}: ${hosts.length} hosts\n`);
}

/** The list of store paths is for `build --since`. */
function withoutPaths({ last, runs: _, ...rest }: FleetHost) {
  const { now, ...others } = last;
  if (now === undefined) return { ...rest, last: others };
  const { paths: _paths, ...told } = now;
  return { ...rest, last: { ...others, now: told } };
}

/** Root’s word; what only the agent says of a later bundle is marked as its word. */
function lastOf(run: HostReceipt['run'], claim: AgentClaim | undefined): string | undefined {
  const words = ({ state, code }: AgentClaim) => `${state}${code === undefined ? '' : ` (${code})`}`;
  const said = claim === undefined ? [] : [`its agent says: ${words(claim)}`];
  return [...(run === undefined ? [] : [words(run)]), ...said].join('; ') || undefined;
}

async function showTable(hosts: readonly FleetHost[]): Promise<void> {
  const { bytes, table } = await import('../../report/tables.ts');
  const rows = hosts.map(({ host, last: { at, run, now, agentSays } }) => {
    const [store] = now?.space ?? [];
    return [
      host,
      now?.floor,
      lastOf(run, agentSays?.at(-1)),
      // `26.05`: the rest is a date and a commit, which the page and --json have.
      now?.versions.nixos?.split('.').slice(0, 2).join('.'),
      now?.failedUnits?.length,
      store === undefined ? undefined : bytes(store.freeBytes),
      at.slice(0, 10),
    ];
  });
  print(table(['HOST', 'SEQUENCE', 'LAST', 'NIXOS', 'FAILED', 'FREE', 'VISITED'], rows));
}
