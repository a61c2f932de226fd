/** `rings.json` in the fleet’s folder, and whose turn it is according to the receipts kept there. */
import { join } from 'node:path';
import { readSmall } from '../../bundle/file.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import { decideTurns, parseRings, type Ring, type RingRun, ringOf, type Turn } from '../../core/rings.ts';
import { receiptsOf } from './folder.ts';
import { noKeys, readHostKeys } from './former.ts';
import { readCollected, readKept } from './kept.ts';

const most = 4 * 1024 * 1024;

/** Undefined if there are none. @throws NixmakerError `usage` */
export async function readRings(directory: string): Promise<readonly Ring[] | undefined> {
  const file = join(directory, 'rings.json');
  const bytes = await readSmall(file, most);
  if (bytes === undefined) return undefined;
  try {
    return parseRings(JSON.parse(bytes.toString('utf8')));
  } catch (error) {
    const detail = error instanceof NixmakerError ? error.detail : messageOf(error);
    throw new NixmakerError('usage', `${file}: ${detail}`, { cause: error });
  }
}

export interface RingsQuestion {
  /** The fleet’s folder. */
  readonly directory: string;
  /** By host: the sequence of the bundle that is here. */
  readonly sequences: ReadonlyMap<string, number>;
  readonly now: Date;
}

export async function readTurns(
  rings: readonly Ring[],
  { directory, sequences, now }: RingsQuestion,
): Promise<ReadonlyMap<string, Turn>> {
  const hosts = [];
  for (const [host, sequence] of sequences) {
    const ring = ringOf(rings, host);
    // Nobody waits for the last ring’s receipts, nor for those of a host that is in none.
    const counts = ring !== undefined && ring !== rings.at(-1);
    hosts.push({ host, sequence, runs: counts ? await readRuns(directory, host) : [] });
  }
  return decideTurns(rings, hosts, now);
}

/** States of a run that has left what was installed. */
const hasLeft: ReadonlySet<string> = new Set(['committed', 'pending']);

/** Only what the host’s key has signed counts. */
async function readRuns(directory: string, host: string): Promise<RingRun[]> {
  const folder = receiptsOf(directory, host);
  // An unreadable key verifies nothing, and an earlier installation’s history says nothing about this one.
  const keys = await readHostKeys(directory, host).catch(() => noKeys);
  const runs: (RingRun & { readonly number: number })[] = [];
  for await (const { name, receipt, isFormer } of readKept(folder, keys)) {
    if (isFormer || receipt?.run === undefined) continue;
    const { number, run } = receipt;
    const collected = await readCollected(folder, { name, number });
    const add = (sequence: number, state: string) => runs.push({ number, sequence, state, collected });
    if (run.sequence !== undefined) add(run.sequence, run.state);
    // A person has gone back from it at the machine: whatever it committed, it did not keep it.
    if (run.rolledBackFrom !== undefined && hasLeft.has(run.state)) add(run.rolledBackFrom, 'rolled-back');
  }
  return runs.sort((a, b) => a.number - b.number);
}
