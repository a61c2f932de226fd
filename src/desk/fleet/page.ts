/** The fleet for people: from what is known here, compared with the bundles that are ready. */
import { printable } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { claimText } from '../../core/run/host-receipt.ts';
import { needsPerson, waitText } from '../../core/run/waits.ts';
import { sizeText } from '../../core/size.ts';
import { writeWhole } from '../../files/write.ts';
import type { JudgedBy, PageHost } from '../../report/fleet-condition.ts';
import { type PageRing, renderFleetPage } from '../../report/fleet-page.ts';
import type { Fleet, FleetHost } from './fleet.ts';
import type { ReadyBundle } from './newest-bundles.ts';

export function toPageHost(
  known: FleetHost,
  { available, ring }: { readonly available?: ReadyBundle | undefined; readonly ring?: string | undefined },
): PageHost {
  const { host, last, collected, unreadable, missing, hasGoneBack, isKeyReplaced, returned, runs, former } =
    known;
  const { at, run, now, agentSays = [], seen = [] } = last ?? {};
  return {
    host,
    heard: last !== undefined,
    collected,
    at,
    unreadable,
    missing,
    hasGoneBack,
    isKeyReplaced,
    returned,
    runs: runs.map(({ toplevel, ...run }) => ({ ...run, name: labelOf(toplevel) })),
    detail: run?.detail,
    agentSays: agentSays.map((c) => ({ state: c.state, code: c.code, text: claimText(c) })),
    found: seen.flatMap(({ file, code }) =>
      code !== undefined && needsPerson(code) ? [printable(`${file} (${code})`)] : [],
    ),
    release: releaseOf(known),
    floor: now?.floor,
    held: now?.held ?? [],
    damaged: now?.damaged,
    staged: now?.staged,
    versions: now?.versions ?? {},
    failedUnits: now?.failedUnits,
    freeBytes: now?.space[0]?.freeBytes,
    facts: factsOf(known),
    restartNeeded: now?.installed !== undefined && now.installed !== now.running,
    former: former.map((f) => `${f.key}, on ${f.at.slice(0, 10)}: ${f.reason}`),
    ...given({ available, ring }),
  };
}

/** What else is known of a host, for its details. */
function factsOf({ last }: FleetHost): readonly (readonly [string, string | undefined])[] {
  const { now, waits, ageRecipients } = last ?? {};
  const more = waits === undefined || waits.more === 0 ? '' : `; ${waits.more} more`;
  return Object.entries({
    Hardware: now?.hardware,
    Free: now?.space
      .map(({ path, freeBytes, totalBytes }) => `${path}: ${sizeText(freeBytes)} of ${sizeText(totalBytes)}`)
      .join(', '),
    Generations: now?.generations?.join(', '),
    'Waits (its agent says)':
      waits === undefined ? undefined : `${waits.waits.map((wait) => waitText(wait)).join('; ')}${more}`,
    'SSH host key': now?.sshHostKey,
    'Encrypt to': ageRecipients?.join(', '),
  });
}

/**
 * Systems are named `nixos-system-NAME-LABEL` (nixos/modules/system/activation/top-level.nix). NAME may have hyphens; a label begins
 * with the NixOS release unless somebody chose another, in which case the two are not separated.
 */
const labelOf = (toplevel: string | undefined): string | undefined =>
  /-nixos-system-.*?-(\d\d\.\d\d\S*)$/.exec(toplevel ?? '')?.[1];

const notInstalled: ReadonlySet<string> = new Set(['refused', 'staged']);

/** The release whose system is running, according to the runs; if several share the system, the newest that was kept. */
function releaseOf({ last, runs }: FleetHost): number | undefined {
  const { running, floor } = last?.now ?? {};
  if (running === undefined) return undefined;
  const sequences = runs.flatMap(({ toplevel, sequence, state }) =>
    toplevel === running && sequence !== undefined && !notInstalled.has(state) ? [sequence] : [],
  );
  return sequences.find((sequence) => sequence === floor) ?? sequences.at(-1);
}

export async function writeFleetPage(
  {
    hosts,
    retired,
    rings,
  }: Pick<Fleet, 'retired'> & { readonly hosts: readonly PageHost[]; readonly rings: readonly PageRing[] },
  { file, ...by }: JudgedBy & { readonly file: string },
): Promise<void> {
  const page = renderFleetPage({ ...by, hosts, rings, retired: retired.map(({ host }) => host) });
  await writeWhole(file, page);
}
