/** Which hosts’ installed systems an advisory may be about, by the lists of store paths in their newest receipts. */

import { readSmall } from '../../bundle/file.ts';
import { type Advisories, AdvisoryBook, parseAdvisories } from '../../core/advisories.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import type { HostReceipt } from '../../core/run/host-receipt.ts';
import { receiptsOf } from './folder.ts';
import { noKeys, readHostKeys } from './former.ts';
import { readKept } from './kept.ts';
import { pathsIn } from './since.ts';

export interface HostAdvisory {
  readonly id: string;
  readonly aliases: readonly string[];
  readonly summary: string | undefined;
  readonly name: string;
  readonly version: string;
  /** Whether the advisory says that this version is affected; otherwise it can’t be told from it. */
  readonly isCertain: boolean;
}

export interface HostAdvisories {
  readonly host: string;
  /** Undefined if nobody knows what is installed there. */
  readonly found: readonly HostAdvisory[] | undefined;
}

/** @throws NixmakerError `advisories-malformed` */
export async function readAdvisories(file: string): Promise<Advisories> {
  const bytes = await readSmall(file, limits.advisoryBytes);
  if (bytes === undefined) throw new NixmakerError('no-such-file', file);
  let json: unknown;
  try {
    json = JSON.parse(bytes.toString('utf8'));
  } catch (cause) {
    throw new NixmakerError('advisories-malformed', `${file} is not JSON`, { cause });
  }
  const read = parseAdvisories(json);
  if (read === undefined)
    throw new NixmakerError('advisories-malformed', `${file} has no advisory in OSV’s form`);
  return read;
}

/** One host at a time: a list of paths may be long. */
export async function findAdvisories(
  directory: string,
  hosts: readonly string[],
  { advisories }: Advisories,
): Promise<HostAdvisories[]> {
  const book = new AdvisoryBook(advisories);
  const found: HostAdvisories[] = [];
  for (const host of hosts) {
    const paths = await installedAt(directory, host);
    found.push({
      host,
      found:
        paths &&
        book.matches(paths).map(({ advisory: { id, aliases, summary }, name, version, isCertain }) => {
          return { id, aliases, summary, name, version, isCertain };
        }),
    });
  }
  return found;
}

/** Only what the newest of all says: an older list is of another system. */
async function installedAt(directory: string, host: string) {
  const keys = await readHostKeys(directory, host).catch(() => noKeys);
  let newest: HostReceipt | undefined;
  for await (const { receipt } of readKept(receiptsOf(directory, host), keys))
    if (receipt !== undefined && (newest === undefined || receipt.number > newest.number)) newest = receipt;
  const listed = newest?.now?.paths;
  if (listed === undefined) return undefined;
  // What is signed by the host and damaged all the same is not known.
  return pathsIn(listed).catch(() => undefined);
}
