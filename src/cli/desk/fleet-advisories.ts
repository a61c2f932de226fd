import { alike, namesText } from '../../core/alike.ts';
import { lines } from '../../core/lines.ts';
import type { HostAdvisories, HostAdvisory } from '../../desk/fleet/advisories.ts';
import { columns, print, printToStderr } from '../terminal/output.ts';

export interface Advised {
  readonly hosts: readonly HostAdvisories[];
  /** How many advisories were held against them, and how many entries were none. */
  readonly advisories: number;
  readonly unreadable: number;
}

/** @throws NixmakerError `advisories-malformed` */
export async function advise(file: string, directory: string, hosts: readonly string[]): Promise<Advised> {
  const { findAdvisories, readAdvisories } = await import('../../desk/fleet/advisories.ts');
  const read = await readAdvisories(file);
  const { unreadable, advisories } = read;
  return { hosts: await findAdvisories(directory, hosts, read), advisories: advisories.length, unreadable };
}

export const advisoriesJson = async (advised: Advised | undefined) =>
  advised === undefined ? {} : { advisories: advised };

/** Hosts that have the same are named together. */
export async function showAdvisories({ hosts, advisories, unreadable }: Advised): Promise<void> {
  const { table } = await import('../../report/columns.ts');
  const all = hosts.flatMap(({ host, found = [] }) => found.map((each) => ({ host, each })));
  const rows = alike(all, ({ each }) => `${each.id} ${each.name} ${each.version}`).map((group) => {
    const { id, name, version, isCertain, summary }: HostAdvisory = group[0].each;
    const names = namesText(group.map(({ host }) => host));
    return [id, name, version, isCertain ? 'affected' : 'unclear', names, summary];
  });
  print(lines`\n`);
  const heads = ['ADVISORY', 'PACKAGE', 'VERSION', 'SAYS', 'HOSTS', 'SUMMARY'];
  if (rows.length > 0) print(table(heads, rows, { width: columns() }));
  else print(lines`None of ${advisories} advisories names a package and version that a receipt lists.\n`);
  const unknown = hosts.filter(({ found }) => found === undefined).map(({ host }) => host);
  if (unknown.length > 0)
    printToStderr(lines`${namesText(unknown)}: not known, because no receipt lists what is installed\n`);
  if (unreadable > 0) printToStderr(lines`${unreadable} entries are no advisories and were passed over\n`);
  printToStderr(lines`By name and version only: patches are not seen, and other names are not found.\n`);
}
