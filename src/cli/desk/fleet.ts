import { type Command, Option } from 'commander';
import { alike, namesText } from '../../core/alike.ts';
import { exitCodes, NixmakerError } from '../../core/errors.ts';
import { lines } from '../../core/lines.ts';
import { type Ring, ringOf, type Turn } from '../../core/rings.ts';
import { outcomeText } from '../../core/run/state-words.ts';
import { sizeText } from '../../core/size.ts';
import type { Style } from '../../core/style.ts';
import type { Fleet, FleetHost } from '../../desk/fleet/fleet.ts';
import type { ReadyBundles } from '../../desk/fleet/newest-bundles.ts';
import type { Condition, JudgedBy, Judgement, PageHost } from '../../report/fleet-condition.ts';
import type { PageRing } from '../../report/fleet-page.ts';
import { localDate } from '../../report/local-time.ts';
import { columns, print, printJson, printToStderr, runVerb } from '../terminal/output.ts';
import { advise, advisoriesJson, showAdvisories } from './fleet-advisories.ts';

interface FleetFlags {
  readonly directory: string;
  readonly json?: boolean;
  readonly html?: string;
  readonly bundles?: string;
  readonly staleAfter: string;
  readonly advisories?: string;
}

const directoryOption = () =>
  new Option('-d, --directory <directory>', 'where `nixmaker collect` stores receipts').default('fleet');

export function defineFleet(program: Command): void {
  const group = program
    .command('fleet')
    .summary('show fleet status from collected receipts')
    .description('show fleet status from collected receipts; manage the list of expected hosts');
  group
    .command('show', { isDefault: true })
    .description('show fleet status')
    .addOption(directoryOption())
    .option('--html <file>', 'write a self-contained page, for a phone, a printer or a colleague')
    .option(
      '--bundles <directory>',
      'where `nixmaker build` wrote the newest bundles: their hosts are expected, and the page says who needs one',
    )
    .option(
      '--advisories <file>',
      'advisories in OSV’s JSON form: also list hosts with affected versions, going by their receipts',
    )
    .option('--stale-after <days>', 'report hosts not heard from for this many days', '60')
    .option('--json', 'print JSON')
    .action((flags: FleetFlags) => runVerb(() => fleet(flags), flags));
  group
    .command('keys')
    .summary('print hosts’ SSH host keys, for their secrets')
    .description(
      'print the SSH host keys that hosts have sent with their receipts, one per line, for agenix, sops and age',
    )
    .argument('[host...]', 'default: all hosts that have sent one')
    .addOption(directoryOption())
    .option('--json', 'print JSON, with the recipients for `encrypt` as well')
    .action((hosts: string[], flags: KeysFlags) => runVerb(() => keys(hosts, flags), flags));
  group
    .command('expect')
    .description('add expected hosts: they are listed even if they never report')
    .argument('<host...>')
    .addOption(directoryOption())
    .action((hosts: string[], flags: { directory: string }) => runVerb(() => expect(hosts, flags.directory)));
  group
    .command('retire')
    .description('retire a host: it is no longer listed unless it reports again')
    .argument('<host>')
    .addOption(directoryOption())
    .requiredOption('--reason <text>', 'why')
    .action((host: string, flags: { directory: string; reason: string }) =>
      runVerb(() => retire(host, flags)),
    );
}

interface KeysFlags {
  readonly directory: string;
  readonly json?: boolean;
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
    throw new NixmakerError('usage', `--stale-after ${flags.staleAfter} is not a number of days`);
  const bundles = await readBundles(flags.bundles);
  const { readRings, readTurns } = await import('../../desk/fleet/rings.ts');
  const rings = (await readRings(flags.directory)) ?? [];
  const found = await readFleet(flags.directory, [...bundles.ready.keys(), ...bundles.unreadable]);
  const shown = found.hosts.map((known): Shown => {
    const available = bundles.ready.get(known.host);
    const page = toPageHost(known, { available, ring: ringOf(rings, known.host)?.name });
    return { known, page, ...judgeHost(page, by) };
  });
  const names = found.hosts.map(({ host }) => host);
  const advised =
    flags.advisories === undefined ? undefined : await advise(flags.advisories, flags.directory, names);
  const turns = await readTurns(rings, {
    directory: flags.directory,
    sequences: new Map([...bundles.ready].map(([host, { sequence }]) => [host, sequence])),
    now: by.now,
  });
  const toldRings = describeRings(rings, { shown, turns });
  if (flags.html !== undefined) await writePage(flags.html, { found, shown, by, rings: toldRings });
  else if (flags.json === true)
    printJson({
      schema: 2,
      hosts: shown.map(toJson),
      retired: found.retired,
      ...(await advisoriesJson(advised)),
    });
  else await showTable(shown, found, toldRings);
  if (flags.json !== true && advised !== undefined) await showAdvisories(advised);
  for (const host of bundles.unreadable)
    printToStderr(lines`${host}: cannot read its bundle in ${flags.bundles ?? ''}\n`);
  return exitCodes.done;
}

/** Why a ring waits is the same for all of its hosts. */
function describeRings(
  rings: readonly Ring[],
  { shown, turns }: { readonly shown: readonly Shown[]; readonly turns: ReadonlyMap<string, Turn> },
): PageRing[] {
  return rings.map(({ name }) => {
    const waiting = [...turns.values()].find((turn) => turn.ring === name && !turn.isDue);
    const why = waiting?.isDue === false ? waiting.why : undefined;
    return { name, hosts: shown.filter(({ page }) => page.ring === name).length, why };
  });
}

async function readBundles(directory: string | undefined): Promise<ReadyBundles> {
  if (directory === undefined) return { ready: new Map(), unreadable: [] };
  return (await import('../../desk/fleet/newest-bundles.ts')).readNewestBundles(directory);
}

async function writePage(
  file: string,
  {
    found,
    shown,
    by,
    rings,
  }: {
    readonly found: Fleet;
    readonly shown: readonly Shown[];
    readonly by: JudgedBy;
    readonly rings: readonly PageRing[];
  },
): Promise<void> {
  const { writeFleetPage } = await import('../../desk/fleet/page.ts');
  const hosts = shown.map(({ page }) => page);
  await writeFleetPage({ hosts, rings, retired: found.retired }, { file, ...by });
  printToStderr(lines`${file}: ${shown.length} hosts\n`);
}

const toJson = ({ known, page, condition, reasons }: Shown) => ({
  host: known.host,
  condition,
  reasons,
  ring: page.ring,
  release: page.release,
  floor: page.floor,
  held: page.held,
  staged: page.staged,
  collected: known.collected,
  receipts: known.receipts,
  unreadable: known.unreadable,
  missing: known.missing,
  former: known.former,
  last: known.last,
});

const conditionStyles: Readonly<Record<Condition, Style>> = {
  unwell: 'bad',
  unknown: 'waits',
  stale: 'waits',
  waits: 'waits',
  well: 'good',
};

/** Root’s word; anything that only the agent says about a later bundle is marked as such. */
function lastOf({ runs, agentSays }: PageHost): string | undefined {
  const [run, claim] = [runs.at(-1), agentSays.at(-1)];
  const said = claim === undefined ? [] : [`its agent reports: ${outcomeText(claim)}`];
  return [...(run === undefined ? [] : [outcomeText(run)]), ...said].join('; ') || undefined;
}

async function showTable(
  shown: readonly Shown[],
  { retired }: Fleet,
  rings: readonly PageRing[],
): Promise<void> {
  const { table } = await import('../../report/columns.ts');
  const { conditionWords } = await import('../../report/fleet-condition.ts');
  if (shown.length === 0)
    printToStderr(lines`No hosts yet: no receipts have been collected (nixmaker collect MEDIUM).\n`);
  const rows = shown.map(({ page, condition }) => {
    return [
      page.host,
      conditionWords[condition],
      page.release,
      page.floor,
      lastOf(page),
      // `26.05`: the rest is a date and a commit, shown on the page and in --json.
      page.versions.nixos?.split('.').slice(0, 2).join('.'),
      page.failedUnits?.length,
      page.freeBytes === undefined ? undefined : sizeText(page.freeBytes),
      page.collected === undefined ? undefined : localDate(page.collected),
    ];
  });
  const heads = ['HOST', 'CONDITION', 'RELEASE', 'FLOOR', 'LAST', 'NIXOS', 'FAILED', 'FREE', 'COLLECTED'];
  const style = (row: number, column: number) =>
    column === 1 ? conditionStyles[shown[row]?.condition ?? 'unknown'] : undefined;
  // Also on the page and in --json: NixOS, free space, the floor, failed units.
  const optional = ['NIXOS', 'FREE', 'FLOOR', 'FAILED'].map((head) => heads.indexOf(head));
  if (rows.length > 0) print(table(heads, rows, { width: columns(), optional, style }));
  const reasons = shown.flatMap(({ page, reasons: all }) =>
    all.map((reason) => ({ host: page.host, reason })),
  );
  for (const group of alike(reasons, ({ reason }) => reason))
    printToStderr(lines`${namesText(group.map(({ host }) => host))}: ${group[0].reason}\n`);
  for (const { host, at, reason = '' } of retired)
    printToStderr(lines`${host}: retired on ${localDate(at)}: ${reason}\n`);
  for (const { name, why } of rings)
    if (why !== undefined) printToStderr(lines`ring ${name} waits: ${why}\n`);
}

async function keys(hosts: readonly string[], { directory, json }: KeysFlags): Promise<number> {
  const { readToldKeys } = await import('../../desk/fleet/host-keys.ts');
  const told = await readToldKeys(directory, hosts);
  if (json === true) {
    printJson({ schema: 1, hosts: told });
    return exitCodes.done;
  }
  for (const { host, sshHostKey } of told) {
    if (sshHostKey !== undefined) print(lines`${sshHostKey} ${host}\n`);
    else if (hosts.length > 0)
      throw new NixmakerError('host-key-unknown', `the newest receipt of ${host} has no SSH host key`);
  }
  return exitCodes.done;
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
    lines`retired: ${host}. Its key and receipts stay in ${directory}; \`nixmaker fleet expect\` brings it back.\n`,
  );
  return exitCodes.done;
}
