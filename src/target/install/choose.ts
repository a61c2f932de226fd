/** Which host this machine is to be: by a person’s word, and by the signed table of the medium. */
import { readSmall } from '../../bundle/file.ts';
import { hostsTableOf } from '../../bundle/pool.ts';
import { NixmakerError } from '../../core/errors.ts';
import { type Chosen, chooseHost, type HostsTable } from '../../core/install/hosts.ts';
import { limits } from '../../core/limits.ts';
import type { Trust } from '../../core/policy/keyring.ts';
import { believedTime } from '../../core/run/floor.ts';
import { isFolder } from '../../files/read.ts';
import { verifyHosts } from '../../signing/hosts.ts';
import { machineMarks } from './marks.ts';

export interface ChoiceOfHost {
  /** A bundle, or where a medium is mounted. */
  readonly place: string;
  /** What a person has typed. */
  readonly host: string | undefined;
  /** A table that a person has named; otherwise the medium’s, if it has one. */
  readonly hosts: string | undefined;
  readonly trust: Trust;
}

export interface ChosenHost extends Chosen {
  readonly unattended: boolean;
  readonly notices: readonly string[];
}

/** @throws NixmakerError `host-unknown`, `wrong-host`, `hosts-malformed`, `hosts-untrusted`, `expired` */
export async function chooseHostHere(choice: ChoiceOfHost): Promise<ChosenHost> {
  const { table, notices } = await readTable(choice);
  const chosen = chooseHost(choice.host, table, await machineMarks());
  return { ...chosen, unattended: chosen.entry !== undefined && table?.unattended === true, notices };
}

/** Threat: anybody can spoil a file on a medium. One that nobody asked for does not stop a person who names the host. */
async function readTable({
  place,
  host,
  hosts,
  trust,
}: ChoiceOfHost): Promise<{ readonly table?: HostsTable; readonly notices: readonly string[] }> {
  if (hosts === undefined && !(await isFolder(place))) return { notices: [] };
  const file = hosts ?? hostsTableOf(place);
  const bytes = await readSmall(file, limits.hostsBytes);
  if (bytes === undefined) {
    if (hosts === undefined) return { notices: [] };
    throw new NixmakerError('no-such-file', file);
  }
  try {
    const { now } = believedTime(new Date(), undefined);
    return { table: verifyHosts(bytes.toString('utf8'), trust, now).table, notices: [] };
  } catch (error) {
    if (!(error instanceof NixmakerError) || host === undefined || hosts !== undefined) throw error;
    return { notices: [`The medium’s table of hosts does not count (${error.code}: ${error.detail}).`] };
  }
}
