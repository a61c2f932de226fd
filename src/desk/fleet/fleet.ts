/** What this desk knows of the fleet. Unknowns are reported as such; no host is left out because of them. */

import { dirname, join } from 'node:path';
import { naturally } from '../../core/alike.ts';
import { given } from '../../core/given.ts';
import type { DamageReport } from '../../core/run/damage.ts';
import type { HostReceipt } from '../../core/run/host-receipt.ts';
import { heardOf, hostsIn, keyFileOf, receiptsOf, wordFileOf } from './folder.ts';
import { type FormerInstallation, noKeys, readFormer, readHostKeys } from './former.ts';
import { hasGoneBack, newestHeard } from './heard.ts';
import { readCollected, readKept } from './kept.ts';
import { readWord } from './roll.ts';

export interface HostRun {
  readonly at: string;
  readonly state: string;
  readonly code: string | undefined;
  readonly sequence: number | undefined;
  readonly toplevel: string | undefined;
}

export interface FleetHost {
  readonly host: string;
  /** The newest receipt of all, without its list of store paths; undefined if none is known. */
  readonly last: HostReceipt | undefined;
  /** When this desk collected it; undefined if unknown. */
  readonly collected: string | undefined;
  readonly receipts: number;
  /** Kept but useless: damaged, or not signed by the key that is trusted now. */
  readonly unreadable: number;
  /** Number of a receipt that was once here and is newer than all that are. */
  readonly missing: number | undefined;
  /** Its newest receipts have lower numbers than one from before, and are not kept. */
  readonly hasGoneBack: boolean;
  /** The key kept for it was replaced, and is not trusted. */
  readonly isKeyReplaced: boolean;
  /** What became of bundles there, oldest first. */
  readonly runs: readonly HostRun[];
  readonly former: readonly FormerInstallation[];
  /** It was retired, and something came in from it afterwards. */
  readonly returned: boolean;
}

export interface RetiredHost {
  readonly host: string;
  readonly at: string;
  readonly reason: string | undefined;
}

export interface Fleet {
  readonly hosts: readonly FleetHost[];
  readonly retired: readonly RetiredHost[];
}

/** @param also hosts that should exist for another reason, such as a bundle that is ready */
export async function readFleet(directory: string, also: Iterable<string> = []): Promise<Fleet> {
  const names = new Set([
    ...(await hostsIn(join(directory, 'receipts'))),
    ...(await hostsIn(dirname(heardOf(directory, 'x')))),
    ...(await hostsIn(dirname(keyFileOf(directory, 'x')), '.public')),
    ...(await hostsIn(dirname(wordFileOf(directory, 'x')), '.json')),
    ...also,
  ]);
  const hosts: FleetHost[] = [];
  const retired: RetiredHost[] = [];
  for (const host of [...names].sort(naturally)) {
    const word = await readWord(directory, host);
    const found = await readHost(directory, host);
    const gone = word?.status === 'retired' ? word : undefined;
    const returned = gone !== undefined && Date.parse(found.collected ?? '') > Date.parse(gone.at);
    if (gone !== undefined && !returned) retired.push({ host, at: gone.at, reason: gone.reason });
    else hosts.push({ ...found, returned });
  }
  return { hosts, retired };
}

async function readHost(directory: string, host: string): Promise<Omit<FleetHost, 'returned'>> {
  const folder = receiptsOf(directory, host);
  // An unreadable key verifies nothing.
  const keys = await readHostKeys(directory, host).catch(() => noKeys);
  let newest: { readonly name: string; readonly receipt: HostReceipt } | undefined;
  const runs: (HostRun & { readonly number: number })[] = [];
  let [receipts, unreadable] = [0, 0];
  for await (const { name, receipt, isFormer } of readKept(folder, keys)) {
    if (receipt === undefined) unreadable += isFormer ? 0 : 1;
    else {
      receipts++;
      const { number, run } = receipt;
      if (run !== undefined) runs.push({ number, ...pick(run) });
      if (newest === undefined || number > newest.receipt.number) newest = { name, receipt: brief(receipt) };
    }
  }
  const heard = keys.present === undefined ? 0 : await newestHeard(directory, host, keys.present);
  const collected =
    newest === undefined
      ? undefined
      : await readCollected(folder, { name: newest.name, number: newest.receipt.number });
  return {
    host,
    last: newest?.receipt,
    collected,
    receipts,
    unreadable,
    missing: heard > (newest?.receipt.number ?? 0) ? heard : undefined,
    hasGoneBack: keys.present !== undefined && (await hasGoneBack(directory, host, keys.present)),
    isKeyReplaced: keys.isReplaced,
    runs: runs.sort((a, b) => a.number - b.number).map(({ number: _, ...run }) => run),
    former: await readFormer(directory, host),
  };
}

const pick = ({ at, state, code, sequence, toplevel }: NonNullable<HostReceipt['run']>): HostRun => ({
  at,
  state,
  code,
  sequence,
  toplevel,
});

/** Threat: a machine whose receipts are as long as allowed, held in memory for each of many hosts. */
function brief(receipt: HostReceipt): HostReceipt {
  if (receipt.now === undefined) return clip(receipt);
  const { paths: _, damaged, ...now } = receipt.now;
  return clip({ ...receipt, now: { ...now, ...given({ damaged: few(damaged) }) } });
}

/** Those beyond are still counted. */
function few(damaged: DamageReport | undefined): DamageReport | undefined {
  if (damaged === undefined) return undefined;
  const paths = damaged.paths.slice(0, mostListed);
  return { ...damaged, paths, more: damaged.more + damaged.paths.length - paths.length };
}

/** Of any list in a receipt. */
const mostListed = 50;

function clip<T>(value: T): T {
  if (typeof value === 'string') return value.slice(0, 2000) as T;
  if (Array.isArray(value)) return value.slice(0, mostListed).map(clip) as T;
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, clip(v as unknown)])) as T;
}
