/**
 * Receipts that are kept: those with the highest numbers, each verified again on every read, with the key that is
 * trusted now. A number belongs to its key: it says nothing about what another key has signed.
 */
import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ifMissing } from '../../core/errno.ts';
import { NixmakerError } from '../../core/errors.ts';
import { limits } from '../../core/limits.ts';
import { isReceiptName } from '../../core/receipt-name.ts';
import type { HostReceipt } from '../../core/run/host-receipt.ts';
import { openForeign } from '../../files/foreign.ts';
import { entriesNow, type FolderNow } from '../../files/foreign-now.ts';
import { readIfThere } from '../../files/read.ts';
import { writeAllWhole } from '../../files/write.ts';
import type { HostKeys } from './former.ts';
import { openSigned, readReceiptText, seal, signingKeyOf } from './receipt-file.ts';

export interface KeptReceipt {
  readonly name: string;
  /** Of the file, as is the digest. */
  readonly bytes: number;
  readonly digest: string;
  /** Undefined if it can’t be read, or was not signed by the key. */
  readonly receipt: HostReceipt | undefined;
  /** It is signed by a key that was replaced. */
  readonly isFormer: boolean;
}

type Keys = Pick<HostKeys, 'present' | 'former'>;

const nothing = { bytes: 0, digest: '', receipt: undefined, isFormer: false };

/** One at a time, because each may be large: callers keep what they need and no more. */
export async function* readKept(place: string, keys: Keys): AsyncGenerator<KeptReceipt> {
  const folder = await openForeign(place, 'follow').catch(ifMissing(undefined));
  if (folder === undefined) return;
  try {
    const names = entriesNow(folder).map(({ name }) => name);
    for (const name of names.filter(isReceiptName).sort()) yield await readOne(folder, name, keys);
  } finally {
    await folder.handle.close();
  }
}

async function readOne(folder: FolderNow, name: string, { present, former }: Keys): Promise<KeptReceipt> {
  try {
    const sealed = seal(await readReceiptText(folder, name));
    if (present === undefined || !sealed.envelope.isSignedBy(present)) {
      const signer = signingKeyOf(sealed);
      const isFormer = signer !== undefined && former.has(signer.key.material);
      return { ...nothing, name, isFormer };
    }
    return { name, ...measure(sealed.text), receipt: openSigned(sealed, present), isFormer: false };
  } catch {
    // Reported as unreadable.
    return { ...nothing, name };
  }
}

const measure = (text: string) => ({
  bytes: text.length,
  digest: createHash('sha256').update(text).digest('base64'),
});

interface Entry {
  readonly number: number;
  readonly digest: string;
  readonly bytes: number;
  readonly host: string;
  /** Of its run. */
  readonly sequence: number | undefined;
  readonly state: string | undefined;
}

const entryOf = (
  { number, host, run }: HostReceipt,
  { bytes, digest }: Pick<Entry, 'bytes' | 'digest'>,
): Entry => ({ number, digest, bytes, host, sequence: run?.sequence, state: run?.state });

interface Unwritten {
  /** Contents by name. */
  readonly files: ReadonlyMap<string, string>;
  /** What it takes the place of. */
  readonly before: Entry | undefined;
}

/** Bytes. */
const mostUnwritten = 4 * 1024 * 1024;

const wentBack = (detail: string) => new NixmakerError('receipts-went-back', detail);

/** What is kept for a host, and how much of it stays. */
export class KeptReceipts {
  readonly #folder: string;
  readonly #entries = new Map<string, Entry>();
  readonly #unwritten = new Map<string, Unwritten>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async load(folder: string, keys: Keys): Promise<KeptReceipts> {
    const kept = new KeptReceipts(folder);
    for await (const { name, receipt, ...file } of readKept(folder, keys))
      if (receipt !== undefined) kept.#entries.set(name, entryOf(receipt, file));
    return kept;
  }

  /** What is kept under this name, if it is this very text: its signature was verified when it was loaded or added. */
  known(name: string, text: string): Entry | undefined {
    const entry = this.#entries.get(name);
    return entry?.bytes === text.length && entry.digest === measure(text).digest ? entry : undefined;
  }

  /** The highest number; 0 if there is none. */
  get newest(): number {
    return Math.max(0, ...[...this.#entries.values()].map(({ number }) => number));
  }

  /**
   * Threat: a machine that was restored from a backup, or copied, counts its receipts from an earlier number again. What it says would
   * pass for older than what it said before. A medium that comes late is no such case: its receipts were signed before.
   * @param said when it was signed, by the host’s clock
   * @throws NixmakerError `receipts-went-back`
   */
  async requireOrder(
    { text, number, said }: { readonly text: string; readonly number: number; readonly said: string },
    now: Date,
  ): Promise<void> {
    const { digest } = measure(text);
    const entries = [...this.#entries];
    if (entries.some(([, entry]) => entry.digest === digest)) return;
    const twin = entries.find(([, entry]) => entry.number === number);
    if (twin !== undefined)
      throw wentBack(`${twin[0]} has the number ${number} as well, and says something else`);
    const highest = this.newest;
    const newest = entries.find(([, entry]) => entry.number === highest)?.[0];
    if (newest === undefined || number > highest) return;
    const collected = await readCollected(this.#folder, { name: newest, number: highest });
    const signed = Date.parse(said);
    if (collected === undefined || signed <= Date.parse(collected) || signed > now.getTime()) return;
    throw wentBack(
      `its number is ${number}, and it was signed on ${said}; number ${highest} had been collected on ${collected}`,
    );
  }

  /**
   * It is kept once `flush` has written it. @param at this desk’s time
   * @returns whether it is new, already here, or older than what is kept
   */
  add(
    name: string,
    { text, receipt, at }: { readonly text: string; readonly receipt: HostReceipt; readonly at: Date },
  ): 'new' | 'known' | 'older' {
    const { number } = receipt;
    const before = this.#entries.get(name);
    if (before !== undefined && before.number >= number) return before.number === number ? 'known' : 'older';
    const entry = entryOf(receipt, measure(text));
    if (!staying(new Map(this.#entries).set(name, entry)).has(name)) return 'older';
    this.#entries.set(name, entry);
    // The arrival time first: if interrupted in between, the existing receipt has no time, rather than a later one than its own.
    const files = new Map([
      [collectedName(name), `${number} ${at.toISOString()}\n`],
      [name, text],
    ]);
    this.#unwritten.set(name, { files, before });
    return 'new';
  }

  /** Whether as much was added as should be held in memory and open. */
  get isFull(): boolean {
    const added = [...this.#unwritten.keys()];
    const bytes = added.reduce((sum, name) => sum + (this.#entries.get(name)?.bytes ?? 0), 0);
    return added.length >= limits.receiptsKept || bytes > mostUnwritten;
  }

  /** Writes what was added. @returns why, of those that could not be written; they are not kept */
  async flush(): Promise<ReadonlyMap<string, unknown>> {
    const all = [...this.#unwritten];
    this.#unwritten.clear();
    const failed = new Map<string, unknown>();
    if (all.length === 0) return failed;
    try {
      await this.#write(new Map(all.flatMap(([, { files }]) => [...files])));
    } catch {
      // One that can’t be written must not take the others with it.
      for (const [name, { files, before }] of all)
        await this.#write(files).catch((error: unknown) => {
          failed.set(name, error);
          if (before === undefined) this.#entries.delete(name);
          else this.#entries.set(name, before);
        });
    }
    return failed;
  }

  async #write(files: ReadonlyMap<string, string>): Promise<void> {
    await mkdir(this.#folder, { recursive: true });
    await writeAllWhole(this.#folder, files);
  }

  /** Deletes whatever exceeds the bounds. */
  async prune(): Promise<void> {
    const stay = staying(this.#entries);
    for (const name of [...this.#entries.keys()].filter((n) => !stay.has(n))) {
      await rm(join(this.#folder, name), { force: true });
      await rm(collectedFile(this.#folder, name), { force: true });
      this.#entries.delete(name);
    }
  }
}

/** Threat: a machine that fills the desk’s disk. The highest numbers within the bounds; always the very highest. */
function staying(entries: ReadonlyMap<string, Entry>): ReadonlySet<string> {
  const stay = new Set<string>();
  let sum = 0;
  for (const [name, { bytes }] of [...entries].sort(([, a], [, b]) => b.number - a.number)) {
    sum += bytes;
    if (stay.size > 0 && (stay.size >= limits.receiptsKept || sum > limits.receiptsKeptBytes)) break;
    stay.add(name);
  }
  return stay;
}

const collectedName = (name: string) => name.replace(/\.json$/, '.collected');
const collectedFile = (folder: string, name: string) => join(folder, collectedName(name));

/**
 * When this desk collected it, as recorded then; undefined if not known for this very receipt. When git has merged two desks,
 * each has its line: the earlier one counts.
 */
export async function readCollected(
  folder: string,
  { name, number }: { readonly name: string; readonly number: number },
): Promise<string | undefined> {
  const text = await readIfThere(collectedFile(folder, name));
  const times = (text ?? '').split('\n').flatMap((line) => {
    const [, of, at = ''] = /^(\d{1,16}) (\S{1,40})$/.exec(line) ?? [];
    return Number(of) === number && Number.isFinite(Date.parse(at)) ? [at] : [];
  });
  return times.sort((a, b) => Date.parse(a) - Date.parse(b))[0];
}
