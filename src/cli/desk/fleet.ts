import { type Command, Option } from 'commander';
import { alike, namesText } from '../../core/alike.ts';
import { exitCodes, NixmakerError } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { outcomeText } from '../../core/run/state-words.ts';
import { sizeText } from '../../core/size.ts';
import type { Fleet, FleetHost } from '../../desk/fleet/fleet.ts';
import type { ReadyBundles } from '../../desk/fleet/newest-bundles.ts';
import type { JudgedBy, Judgement, PageHost } from '../../report/fleet-condition.ts';
import { print, printJson, printToStderr, runVerb } from '../terminal/output.ts';

interface FleetFlags {
  readonly directory: string;
  readonly json?: boolean;
  readonly html?: string;
  readonly bundles?: string;
  readonly staleAfter: string;
}

const directoryOption = () =>
  new Option('-d, --directory <directory>', 'where `nixmaker collect` keeps receipts').default('fleet');

export function defineFleet(program: Command): void {
  const group = program
    .command('fleet')
    .description('how the hosts are, by the receipts that were collected; and which there should be');
  group
    .command('show', { isDefault: true })
    .description('how the hosts are')
    .addOption(directoryOption())
    .option('--html <file>', 'write a page that needs nothing else: for a phone, a printer, a colleague')
    .option(
      '--bundles <directory>',
      'where `nixmaker build` put the newest: hosts with a bundle are expected, and the page says who needs one',
    )
    .option('--stale-after <days>', 'days after which a host that was not heard of is called out', '60')
    .option('--json', 'print JSON')
    .action((flags: FleetFlags) => runVerb(() => fleet(flags), flags));
  group
    .command('expect')
    .description('note hosts that there should be: they are shown, whether or not they ever report')
    .argument('<host...>')
    .addOption(directoryOption())
    .action((hosts: string[], flags: { directory: string }) => runVerb(() => expect(hosts, flags.directory)));
  group
    .command('retire')
    .description('note that a host is no more: it is shown no longer, unless it reports again')
    .argument('<host>')
    .addOption(directoryOption())
    .requiredOption('--reason <text>', 'why')
    .action((host: string, flags: { directory: string; reason: string }) =>
      runVerb(() => retire(host, flags)),
    );
}

interface Shown extends Judgement {
  readonly known: FleetHost;
  readonly page: PageHost;
}

async function fleet(flags: FleetFlags): Promise<number> {
  const { readFleet } = await import('../../desk/fleet/fleet.ts');
  const { toPageHost } = await import('../../desk/fleet/page.ts');
  const { judgeHost } = await import('../../report/fleet-condition.ts');
  const by: JudgedBy = { now: new Date(), staleAfter: Number(flags.staleAfter) };
  if (!(by.staleAfter > 0))
    throw new NixmakerError('usage', `--stale-after ${flags.staleAfter} is no number of days`);
  const bundles = await readBundles(flags.bundles);
  const found = await readFleet(flags.directory, [...bundles.ready.keys(), ...bundles.unreadable]);
  const shown = found.hosts.map((known): Shown => {
    const page = toPageHost(known, bundles.ready.get(known.host));
    return { known, page, ...judgeHost(page, by) };
  });
  if (flags.html !== undefined) await writePage(flags.html, { found, shown, by });
  else if (flags.json === true) printJson({ schema: 2, hosts: shown.map(toJson), retired: found.retired });
  else await showTable(shown, found);
  for (const host of bundles.unreadable)
    printToStderr(lines`${host}: its bundle in ${flags.bundles ?? ''} can’t be read\n`);
  return exitCodes.done;
}

async function readBundles(directory: string | undefined): Promise<ReadyBundles> {
  if (directory === undefined) return { ready: new Map(), unreadable: [] };
  return (await import('../../desk/fleet/newest-bundles.ts')).readNewestBundles(directory);
}

async function writePage(
  file: string,
  { found, shown, by }: { readonly found: Fleet; readonly shown: readonly Shown[]; readonly by: JudgedBy },
): Promise<void> {
  const { writeFleetPage } = await import('../../desk/fleet/page.ts');
  await writeFleetPage({ hosts: shown.map(({ page }) => page), retired: found.retired }, { file, ...by });
  printToStderr(lines`${file}: ${shown.length} hosts\n`);
}

const toJson = ({ known, page, condition, reasons }: Shown) => ({
  host: known.host,
  condition,
  reasons,
  release: page.release,
  floor: page.floor,
  held: page.held,
  collected: known.collected,
  receipts: known.receipts,
  unreadable: known.unreadable,
  missing: known.missing,
  former: known.former,
  last: known.last,
});

/** Root’s word; what only the agent says of a later bundle is marked as its word. */
function lastOf({ runs, agentSays }: PageHost): string | undefined {
  const [run, claim] = [runs.at(-1), agentSays.at(-1)];
  const said = claim === undefined ? [] : [`its agent says: ${outcomeText(claim)}`];
  return [...(run === undefined ? [] : [outcomeText(run)]), ...said].join('; ') || undefined;
}

async function showTable(shown: readonly Shown[], { retired }: Fleet): Promise<void> {
  const { table } = await import('../../report/tables.ts');
  const { conditionWords } = await import('../../report/fleet-condition.ts');
  if (shown.length === 0)
    printToStderr(
      lines`No host is known here: no receipt has been collected yet (nixmaker collect MEDIUM).\n`,
    );
  const rows = shown.map(({ page, condition }) => {
    return [
      page.host,
      conditionWords[condition],
      page.release,
      page.floor,
      lastOf(page),
      // `26.05`: the rest is a date and a commit, which the page and --json have.
      page.versions.nixos?.split('.').slice(0, 2).join('.'),
      page.failedUnits?.length,
      page.freeBytes === undefined ? undefined : sizeText(page.freeBytes),
      page.collected?.slice(0, 10),
    ];
  });
  const heads = ['HOST', 'CONDITION', 'RELEASE', 'FLOOR', 'LAST', 'NIXOS', 'FAILED', 'FREE', 'COLLECTED'];
  if (rows.length > 0) print(table(heads, rows));
  const reasons = shown.flatMap(({ page, reasons: all }) =>
    all.map((reason) => ({ host: page.host, reason })),
  );
  for (const group of alike(reasons, ({ reason }) => reason))
    printToStderr(lines`${namesText(group.map(({ host }) => host))}: ${group[0].reason}\n`);
  for (const { host, at, reason = '' } of retired)
    printToStderr(lines`${host}: retired on ${at.slice(0, 10)}: ${reason}\n`);
}

async function expect(hosts: readonly string[], directory: string): Promise<number> {
  const { writeWord } = await import('../../desk/fleet/roll.ts');
  await writeWord(directory, hosts, { status: 'expected', at: new Date().toISOString() });
  print(lines`expected: ${hosts.join(', ')}\n`);
  return exitCodes.done;
}

async function retire(
  host: string,
  { directory, reason }: { readonly directory: string; readonly reason: string },
): Promise<number> {
  const { writeWord } = await import('../../desk/fleet/roll.ts');
  await writeWord(directory, [host], { status: 'retired', at: new Date().toISOString(), reason });
  print(
    lines`retired: ${host}. Its key and receipts stay in ${directory}; \`nixmaker fleet expect\` takes it back.\n`,
  );
  return exitCodes.done;
}
