/**
 * Receipts at the desk: read from media as input from outside, verified against the hosts’ enrolled keys, and kept in a
 * folder: `keys/<host>.public`, `receipts/<host>/<name>.json`.
 */
import { mkdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { readSmall } from '../../bundle/file.ts';
import { poolFolder } from '../../core/bundle/pool-folder.ts';
import { messageOf, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { type HostReceipt, hostReceiptType, type ReceiptRun } from '../../core/run/host-receipt.ts';
import { isHostName } from '../../core/schema.ts';
import { namesIn } from '../../files/read.ts';
import { writeWhole } from '../../files/write.ts';
import { openEnvelope } from '../../signing/envelope.ts';
import { parsePublicKey } from '../../signing/nix-key.ts';
import { readReceipt } from './receipt-file.ts';

export interface CollectOptions {
  readonly media: readonly string[];
  /** Where keys and receipts are kept. */
  readonly directory: string;
  /** Whether a host that is not known yet is believed the first time. */
  readonly enrol: boolean;
}

export interface Collected {
  readonly file: string;
  readonly host: string;
  readonly sequence: number | undefined;
  readonly state: string | undefined;
  readonly status: 'new' | 'known' | 'older' | 'rejected';
  /** The key was not known before. */
  readonly enrolled?: true;
  readonly code?: ReasonCode;
  readonly detail?: string;
}

/** Media hold receipts of many hosts, and a hostile one any number of them. */
const mostHosts = 10_000;
const mostOfHost = 1000;
const fileName = /^(?:[0-9]{1,16}|run-[0-9a-f]{12})\.json$/;

const keysOf = (directory: string) => join(directory, 'keys');
const receiptsOf = (directory: string) => join(directory, 'receipts');

/** Sorted. On a medium a file may stand where a folder should. */
const folderNames = async (folder: string) => (await namesIn(folder, 'ENOTDIR')).sort();

/** Never throws for what a medium holds. */
export async function collectReceipts(options: CollectOptions): Promise<Collected[]> {
  const results: Collected[] = [];
  for (const medium of options.media) {
    const root = join(medium, poolFolder, 'receipts');
    for (const host of (await folderNames(root)).filter(isHostName).slice(0, mostHosts)) {
      const names = (await folderNames(join(root, host)))
        .filter((n) => fileName.test(n))
        .slice(0, mostOfHost);
      for (const name of names) results.push(await collectOne(options, host, join(root, host, name)));
    }
  }
  return results;
}

async function collectOne(
  { directory, enrol }: CollectOptions,
  host: string,
  file: string,
): Promise<Collected> {
  try {
    const { text, receipt } = await readReceipt(file);
    if (receipt.host !== host)
      throw new NixmakerError(
        'receipt-malformed',
        `it lies in the folder of ${host} and is of ${receipt.host}`,
      );
    const enrolled = await believe(directory, { text, receipt, enrol });
    const target = join(receiptsOf(directory), host, basename(file));
    const told = { file, host, sequence: receipt.run?.sequence, state: receipt.run?.state };
    const known = await readKept(target);
    if (known !== undefined && known.number >= receipt.number)
      return { ...told, status: known.number === receipt.number ? 'known' : 'older' };
    await mkdir(join(receiptsOf(directory), host), { recursive: true });
    await writeWhole(target, text);
    return { ...told, status: 'new', ...(enrolled ? { enrolled } : {}) };
  } catch (error) {
    const { code, detail } =
      error instanceof NixmakerError ? error : { code: 'io-error' as const, detail: messageOf(error) };
    return { file, host, sequence: undefined, state: undefined, status: 'rejected', code, detail };
  }
}

/**
 * @returns whether the host was enrolled by this very receipt
 * @throws NixmakerError `host-not-enrolled`, `receipt-malformed`
 */
async function believe(
  directory: string,
  { text, receipt, enrol }: { text: string; receipt: HostReceipt; enrol: boolean },
): Promise<boolean> {
  const { host, hostKey } = receipt;
  const keyFile = join(keysOf(directory), `${host}.public`);
  const known = (await readSmall(keyFile, 4096))?.toString('utf8').trim();
  if (known === undefined && !enrol)
    throw new NixmakerError('host-not-enrolled', `it says its key is ${hostKey}`);
  const key = parsePublicKey(known ?? hostKey);
  if (!openEnvelope(text, hostReceiptType).isSignedBy(key))
    throw new NixmakerError('receipt-malformed', `it is not signed by ${key.name} (${keyFile})`);
  if (known !== undefined) return false;
  await mkdir(keysOf(directory), { recursive: true });
  await writeWhole(keyFile, `${hostKey}\n`);
  return true;
}

/** A receipt that was verified when it was collected; undefined where there is none that can be read. */
async function readKept(file: string): Promise<HostReceipt | undefined> {
  try {
    return (await readReceipt(file)).receipt;
  } catch {
    return undefined;
  }
}

export interface FleetHost {
  readonly host: string;
  /** The newest receipt of all, which tells how the host is. */
  readonly last: HostReceipt;
  readonly receipts: number;
  /** What became of bundles there, oldest first. */
  readonly runs: readonly ReceiptRun[];
}

/** What the collected receipts say, host by host. */
export async function readFleet(directory: string): Promise<FleetHost[]> {
  const fleet: FleetHost[] = [];
  for (const host of (await folderNames(receiptsOf(directory))).filter(isHostName)) {
    const folder = join(receiptsOf(directory), host);
    const names = (await folderNames(folder)).filter((n) => fileName.test(n));
    const kept = (await Promise.all(names.map((n) => readKept(join(folder, n))))).filter(
      (r) => r !== undefined,
    );
    const last = kept.reduce<HostReceipt | undefined>(
      (a, b) => (a === undefined || b.number > a.number ? b : a),
      undefined,
    );
    if (last === undefined) continue;
    const runs = kept
      .toSorted((a, b) => a.number - b.number)
      .flatMap(({ run }) => (run === undefined ? [] : [run]));
    fleet.push({ host, last, receipts: kept.length, runs });
  }
  return fleet;
}
