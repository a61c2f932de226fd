/** What is ready is written, or delivered, few at a time; what has to wait may be stopped meanwhile. */
import pLimit from 'p-limit';
import { NixmakerError } from '../../core/errors.ts';

/** While the disk takes one, the next is copied. */
const bundlesAtOnce = 2;

export type HandOver = <T>(work: () => Promise<T>) => Promise<T>;

/** @param isDelivery to one place: one at a time @throws NixmakerError `stopped` from each whose turn had not come */
export function makeHandOver(signal: AbortSignal | undefined, isDelivery: boolean): HandOver {
  const limit = pLimit(isDelivery ? 1 : bundlesAtOnce);
  return (work) =>
    limit(() => {
      // It may have waited for hours.
      if (signal?.aborted === true) throw new NixmakerError('stopped', 'before its turn had come');
      return work();
    });
}
