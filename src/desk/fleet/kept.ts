/**
 * Receipts that are kept: those with the highest numbers, each verified again on every read, with the key that is
 * trusted now. A number belongs to its key: it says nothing about what another key has signed.
 */
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { limits } from '../../core/limits.ts';
import { isReceiptName } from '../../core/receipt-name.ts';
import type { HostReceipt } from '../../core/run/host-receipt.ts';
import { namesIn, readIfThere } from '../../files/read.ts';
import { writeWhole } from '../../files/write.ts';
import type { HostKeys } from './former.ts';
import { readAhead } from './read-ahead.ts';
import { openSigned, readSealed, signingKeyOf } from './receipt-file.ts';

export interface KeptReceipt {
  readonly name: string;
  readonly bytes: number;
  /** Undefined if it can’t be read, or was not signed by the key. */
  readonly receipt: HostReceipt | undefined;
  /** It is signed by a key that was replaced. */
  readonly isFormer: boolean;
}

type Keys = Pick<HostKeys, 'present' | 'former'>;

/** A few at a time, because each may be large: callers keep what they need and no more. */
export async function* readKept(folder: string, keys: Keys): AsyncGenerator<KeptReceipt> {
  const names = (await namesIn(folder)).filter(isReceiptName).sort();
  yield* readAhead({ folder, names }, (name) => readOne(join(folder, name), name, keys));
}

async function readOne(file: string, name: string, { present, former }: Keys): Promise<KeptReceipt> {
  try {
    const sealed = await readSealed(file);
    if (present === undefined || !sealed.envelope.isSignedBy(present)) {
      const signer = signingKeyOf(sealed);
      const isFormer = signer !== undefined && former.has(signer.key.material);
      return { name, bytes: 0, receipt: undefined, isFormer };
    }
    return { name, bytes: sealed.text.length, receipt: openSigned(sealed, present), isFormer: false };
  } catch {
    // Reported as unreadable.
    return { name, bytes: 0, receipt: undefined, isFormer: false };
  }
}

interface Entry {
  readonly number: number;
  readonly bytes: number;
}

/** What is kept for a host, and how much of it stays. */
export class KeptReceipts {
  readonly #folder: string;
  readonly #entries = new Map<string, Entry>();

  private constructor(folder: string) {
    this.#folder = folder;
  }

  static async load(folder: string, keys: Keys): Promise<KeptReceipts> {
    const kept = new KeptReceipts(folder);
    for await (const { name, bytes, receipt } of readKept(folder, keys))
      if (receipt !== undefined) kept.#entries.set(name, { number: receipt.number, bytes });
    return kept;
  }

  /** The highest number; 0 if there is none. */
  get newest(): number {
    return Math.max(0, ...[...this.#entries.values()].map(({ number }) => number));
  }

  /** @param at this desk’s time. @returns whether it is new, already here, or older than what is kept */
  async add(
    name: string,
    { text, number, at }: { readonly text: string; readonly number: number; readonly at: Date },
  ): Promise<'new' | 'known' | 'older'> {
    const known = this.#entries.get(name);
    if (known !== undefined && known.number >= number) return known.number === number ? 'known' : 'older';
    const entry = { number, bytes: text.length };
    if (!staying(new Map(this.#entries).set(name, entry)).has(name)) return 'older';
    await mkdir(this.#folder, { recursive: true });
    // The arrival time first: if interrupted in between, the existing receipt has no time, rather than a later one than its own.
    await writeWhole(collectedFile(this.#folder, name), `${number} ${at.toISOString()}\n`);
    await writeWhole(join(this.#folder, name), text);
    this.#entries.set(name, entry);
    return 'new';
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

const collectedFile = (folder: string, name: string) => join(folder, name.replace(/\.json$/, '.collected'));

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
