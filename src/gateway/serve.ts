/** A gateway: one machine has the medium, the others of its network fetch from it, and their receipts come back onto it. */
import { parseReceiptPath } from '../core/bundle/pool-paths.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { limits } from '../core/limits.ts';
import type { EventSink } from '../core/ports.ts';
import { isForeignFolder } from '../files/foreign.ts';
import { type Listening, listen } from '../network/server.ts';
import { openPoolFile } from './pool-files.ts';
import { ReceiptTaker } from './take-receipt.ts';

export interface GatewayOptions {
  /** Where the medium is mounted, or any folder with a pool. */
  readonly folder: string;
  readonly address: string;
  readonly port: number;
  /** Whether it starts although there is no folder yet: it is looked for anew with each request. */
  readonly unattended?: boolean;
  /** Whether receipts are taken. */
  readonly receipts: boolean;
  readonly emit: EventSink;
}

const forbidden = 403;
const notTaken = 405;

/** @throws NixmakerError `no-medium`, `cannot-listen` */
export async function serveFolder(options: GatewayOptions): Promise<Listening> {
  const { folder, address, port, receipts, emit, unattended = false } = options;
  if (!unattended && !(await isForeignFolder(folder)))
    throw new NixmakerError('no-medium', `${folder} is not a folder; is the medium mounted?`);
  const taker = new ReceiptTaker(folder, emit);
  return listen({
    address,
    port,
    handlers: {
      read: (path) => openPoolFile(folder, path),
      mayPut: (path) => {
        if (!receipts) return notTaken;
        return parseReceiptPath(path) === undefined ? forbidden : { most: limits.receiptBytes };
      },
      put: (path, bytes) => taker.take(path, bytes),
      failed: (path, error) =>
        emit({ event: 'request-failed', level: 'warn', path: path.slice(0, 256), detail: messageOf(error) }),
    },
  });
}
