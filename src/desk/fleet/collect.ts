/** Receipts from media: verified against the hosts’ enrolled keys, and kept. */
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { naturally } from '../../core/alike.ts';
import { messageOf, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { limits } from '../../core/limits.ts';
import type { HostReceipt } from '../../core/run/host-receipt.ts';
import { writeWhole } from '../../files/write.ts';
import type { PublicKey } from '../../signing/nix-key.ts';
import { keyFileOf, receiptsOf } from './folder.ts';
import { type HostKeys, readHostKeys } from './former.ts';
import { noteGoneBack, noteHeard } from './heard.ts';
import { KeptReceipts } from './kept.ts';
import { eachHostOn, type FoundReceipts } from './media-receipts.ts';
import { openSigned, readReceiptText, type SealedReceipt, seal, signingKeyOf } from './receipt-file.ts';

export interface CollectOptions {
  readonly media: readonly string[];
  /** Where keys and receipts are kept. */
  readonly directory: string;
  /** Whether an unknown host is trusted on first use. */
  readonly enrol: boolean;
  readonly now: Date;
  /** Known and older receipts to list one by one, of all hosts together: each of a thousand may have dozens. */
  readonly mostListed?: number;
}

export interface Collected {
  readonly file: string;
  readonly host: string | undefined;
  readonly sequence: number | undefined;
  readonly state: string | undefined;
  /** `former`: from an installation that was replaced. */
  readonly status: 'new' | 'known' | 'older' | 'former' | 'rejected';
  /** How many receipts this is about, if more than one: known or older ones, of no use. */
  readonly files?: number;
  /** The key was new. */
  readonly enrolled?: true;
  readonly code?: ReasonCode;
  readonly detail?: string;
}

/** Never throws for what a medium holds, or for a missing one: each gets its own outcome. */
export async function collectReceipts(options: CollectOptions): Promise<Collected[]> {
  const results: Collected[] = [];
  const listing = { left: options.mostListed ?? 2000 };
  for (const medium of options.media)
    await eachHostOn(
      medium,
      async (found) => {
        for await (const one of collectHost(options, found, listing)) results.push(one);
      },
      ({ shown, host, error }) => results.push(rejected({ file: shown, host }, error)),
    ).catch((error: unknown) => results.push(rejected({ file: medium }, error)));
  return results.sort((a, b) => naturally(a.file, b.file));
}

/** A host’s keys, as far as they are known. */
type Trust = Pick<HostKeys, 'former'> & { present: PublicKey | undefined };

/** What happens at one host’s folder on a medium. */
interface Taking {
  readonly options: CollectOptions;
  readonly found: FoundReceipts;
  readonly listing: { left: number };
  readonly trust: Trust;
  readonly kept: KeptReceipts;
  wentBack: boolean;
}

async function* collectHost(
  options: CollectOptions,
  found: FoundReceipts,
  listing: { left: number },
): AsyncGenerator<Collected> {
  const { host, shown, beyond } = found;
  const { directory } = options;
  const trust: Trust = { ...(await readHostKeys(directory, host)) };
  const kept = await KeptReceipts.load(receiptsOf(directory, host), trust);
  const taking: Taking = { options, found, listing, trust, kept, wentBack: false };
  yield* takeAll(taking);
  await kept.prune();
  const { present: key } = trust;
  if (key !== undefined && kept.newest > 0) await noteHeard(directory, { host, key, number: kept.newest });
  if (key !== undefined && taking.wentBack) await noteGoneBack(directory, host, key);
  if (beyond > 0)
    yield rejected(
      { file: shown, host },
      new NixmakerError(
        'receipt-malformed',
        `there are ${beyond} more than the limit; the oldest, by name, were skipped`,
      ),
    );
}

async function* takeAll(taking: Taking): AsyncGenerator<Collected> {
  const { found, listing, kept } = taking;
  const { host, names, folder, shown } = found;
  const news = new Map<string, Collected>();
  let unlisted = 0;
  let here = limits.receiptsKept;
  for (const name of names) {
    const file = join(shown, name);
    try {
      const taken = await takeOne(taking, name, await readReceiptText({ path: folder }, name));
      // A stick holds ten years of receipts, and old ones are no news.
      if (taken.status === 'new') news.set(name, { file, host, ...taken });
      else if (here-- > 0 && listing.left-- > 0) yield { file, host, ...taken };
      else unlisted++;
    } catch (error) {
      taking.wentBack ||= error instanceof NixmakerError && error.code === 'receipts-went-back';
      yield rejected({ file, host }, error);
    }
    if (kept.isFull) yield* await write(kept, news);
  }
  yield* await write(kept, news);
  if (unlisted > 0)
    yield { file: shown, host, sequence: undefined, state: undefined, status: 'older', files: unlisted };
}

/** Nothing is news before it is on disk. */
async function write(kept: KeptReceipts, news: Map<string, Collected>): Promise<Collected[]> {
  const failed = await kept.flush();
  const settled = [...news].map(([name, one]) => (failed.has(name) ? rejected(one, failed.get(name)) : one));
  news.clear();
  return settled;
}

async function takeOne(
  { options, found: { host }, trust, kept }: Taking,
  name: string,
  text: string,
): Promise<Omit<Collected, 'file' | 'host'>> {
  const known = kept.known(name, text);
  if (known?.host === host) return { sequence: known.sequence, state: known.state, status: 'known' };
  const sealed = seal(text);
  const believed = believe(sealed, trust, { host, options });
  if (believed === 'former') return { sequence: undefined, state: undefined, status: 'former' };
  const { key, text: enrolled } = believed;
  const receipt = openSigned(sealed, key);
  if (receipt.host !== host)
    throw new NixmakerError(
      'receipt-malformed',
      `it lies in the folder of ${host}, but is from ${receipt.host}`,
    );
  if (enrolled !== undefined) {
    await enrol(options.directory, receipt, enrolled);
    trust.present = key;
  }
  const { number, run, at: said } = receipt;
  await kept.requireOrder({ text, number, said }, options.now);
  const status = kept.add(name, { text, receipt, at: options.now });
  return given({
    sequence: run?.sequence,
    state: run?.state,
    status,
    enrolled: enrolled === undefined ? undefined : (true as const),
  }) as Omit<Collected, 'file' | 'host'>;
}

/**
 * Who signed it is settled before anything in it is read.
 * @returns the key, with its text if the host is to be enrolled with it
 * @throws NixmakerError `host-not-enrolled`, `host-key-changed`, `receipt-malformed`
 */
function believe(
  sealed: SealedReceipt,
  { present, former }: Trust,
  { host, options }: { readonly host: string; readonly options: CollectOptions },
): { key: PublicKey; text?: string } | 'former' {
  if (present !== undefined && sealed.envelope.isSignedBy(present)) return { key: present };
  const file = keyFileOf(options.directory, host);
  const signer = signingKeyOf(sealed);
  if (signer === undefined) {
    const whose = present === undefined ? 'the key it names' : `${present.name} (${file})`;
    throw new NixmakerError('receipt-malformed', `it is not signed by ${whose}`);
  }
  if (former.has(signer.key.material)) return 'former';
  if (present !== undefined)
    throw new NixmakerError(
      'host-key-changed',
      `it is signed by ${signer.text}; ${file} has ${present.name}:${present.material}`,
    );
  if (!options.enrol) throw new NixmakerError('host-not-enrolled', `it says its key is ${signer.text}`);
  return signer;
}

async function enrol(directory: string, { hostKey, host }: HostReceipt, text: string): Promise<void> {
  if (hostKey !== text) throw new NixmakerError('receipt-malformed', 'it names two keys for its host');
  const file = keyFileOf(directory, host);
  await mkdir(dirname(file), { recursive: true });
  await writeWhole(file, `${text}\n`);
}

function rejected(
  { file, host }: { readonly file: string; readonly host?: string | undefined },
  error: unknown,
): Collected {
  const { code, detail } =
    error instanceof NixmakerError ? error : { code: 'io-error' as const, detail: messageOf(error) };
  return { file, host, sequence: undefined, state: undefined, status: 'rejected', code, detail };
}
