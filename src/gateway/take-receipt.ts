/**
 * Receipts that come over the network, put where `collect` looks for them. They are not read: only the desk knows the hosts’ keys. Threat:
 * anybody sends anything under any host’s name: only hosts of the pool count, few files and bytes are kept of each, and nothing that is
 * there is overwritten.
 */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { hostFolders } from '../bundle/pool.ts';
import { poolFolder } from '../core/bundle/pool-folder.ts';
import { parseReceiptPath } from '../core/bundle/pool-paths.ts';
import { isMissing } from '../core/errno.ts';
import { NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { EventSink } from '../core/ports.ts';
import { isReceiptName } from '../core/receipt-name.ts';
import { decodeUtf8 } from '../core/utf8.ts';
import { namesInForeign, openPlainFileIn, readForeign, withForeign } from '../files/foreign.ts';
import { deliver } from '../media/deliver.ts';

/** Of one host, on one medium: many more than a machine sends between two visits of a person. */
const mostReceipts = 256;
const mostBytes = 2 * limits.receiptsKeptBytes;

const status = { taken: 201, there: 200, malformed: 400, stranger: 403, readOnly: 405, full: 507 } as const;

/** One at a time: what is there is counted before anything is added. */
export class ReceiptTaker {
  readonly #root: string;
  readonly #emit: EventSink;
  #last: Promise<unknown> = Promise.resolve();

  constructor(root: string, emit: EventSink) {
    this.#root = root;
    this.#emit = emit;
  }

  /** @returns the status */
  take(path: string, bytes: Buffer): Promise<number> {
    const taking = this.#last.then(() => this.#take(path, bytes));
    this.#last = taking.catch(() => undefined);
    return taking;
  }

  async #take(path: string, bytes: Buffer): Promise<number> {
    const wanted = parseReceiptPath(path);
    const text = decodeUtf8(bytes);
    if (wanted === undefined || text === undefined) return status.malformed;
    const { host } = wanted;
    if (!(await hostFolders(this.#root)).includes(host)) return status.stranger;
    const folder = join(this.#root, poolFolder, 'receipts', host);
    const name = await freeName(folder, wanted.name, bytes);
    if (name === undefined) return status.there;
    if (!(await hasRoom(folder, bytes.length))) return status.full;
    try {
      await deliver(this.#root, [poolFolder, 'receipts', host], [{ name, text }]);
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      const { code, detail } = error;
      this.#emit({ event: 'receipt-not-taken', level: 'warn', host, code, detail });
      return code === 'medium-read-only' ? status.readOnly : status.full;
    }
    this.#emit({ event: 'receipt-taken', host, name, bytes: bytes.length });
    return status.taken;
  }
}

/** The receipt’s own, or one made of its contents if another has that. Undefined if it is there. */
async function freeName(folder: string, name: string, bytes: Buffer): Promise<string | undefined> {
  const other = `run-${createHash('sha256').update(bytes).digest('hex').slice(0, 12)}.json`;
  for (const each of [name, other]) {
    const there = await readForeign(folder, each, limits.receiptBytes).catch(() => Buffer.alloc(0));
    if (there === undefined) return each;
    if (there.equals(bytes)) return undefined;
  }
  return undefined;
}

async function hasRoom(folder: string, more: number): Promise<boolean> {
  try {
    return await withForeign(folder, async (open) => {
      const names = (await namesInForeign(open, 4 * mostReceipts)).filter(isReceiptName);
      let sum = more;
      for (const name of names) {
        const file = await openPlainFileIn(open, name);
        sum += (await file.stat().finally(() => file.close())).size;
      }
      return names.length < mostReceipts && sum <= mostBytes;
    });
  } catch (error) {
    if (isMissing(error)) return true;
    throw error;
  }
}
