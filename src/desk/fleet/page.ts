/** The fleet as a page in a file, from what the receipts say and, to compare with, the bundles that are ready. */
import { claimText } from '../../core/run/host-receipt.ts';
import { writeWhole } from '../../files/write.ts';
import { renderFleetPage } from '../../report/fleet-page.ts';
import { readNewestBundles } from './newest-bundles.ts';
import type { FleetHost } from './receipts.ts';

export interface PageOptions {
  readonly file: string;
  /** Where `nixmaker build` put the newest bundles, to say who needs one. */
  readonly bundles: string | undefined;
  /** Days. */
  readonly staleAfter: number;
  readonly now: Date;
}

export async function writeFleetPage(
  hosts: readonly FleetHost[],
  { file, bundles, staleAfter, now: writtenAt }: PageOptions,
): Promise<void> {
  const available = bundles === undefined ? new Map() : await readNewestBundles(bundles);
  const page = renderFleetPage({
    now: writtenAt,
    staleAfter,
    hosts: hosts.map(({ host, last: { at, run, now, agentSays = [] }, runs }) => ({
      host,
      at,
      runs: runs.map((r) => ({ at: r.at, state: r.state, code: r.code, sequence: r.sequence })),
      detail: run?.detail,
      agentSays: agentSays.map((claim) => ({ state: claim.state, text: claimText(claim) })),
      sequence: now?.floor,
      versions: now?.versions ?? {},
      failedUnits: now?.failedUnits,
      freeBytes: now?.space[0]?.freeBytes,
      restartNeeded: now?.installed !== undefined && now.installed !== now.running,
      available: available.get(host),
    })),
  });
  await writeWhole(file, page);
}
