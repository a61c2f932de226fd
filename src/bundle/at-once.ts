/** Work on thousands of things, several at a time. */
import { availableParallelism } from 'node:os';

/**
 * Runs as many at a time as keep all processors busy: work on other threads continues meanwhile. After the first fault
 * nothing new is started, and everything started has ended when this returns.
 * @throws what the work throws
 */
export async function forEachAtOnce<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  // Shared by all: each takes the next one, and the first to throw closes it.
  const next = one(items);
  const worker = async () => {
    for (const item of next) await work(item);
  };
  const ended = await Promise.allSettled(Array.from({ length: availableParallelism() + 1 }, worker));
  for (const result of ended) if (result.status === 'rejected') throw result.reason;
}

function* one<T>(items: Iterable<T>): Generator<T, void, void> {
  yield* items;
}

/** In flight, in request order: each may be held in memory. */
const inFlight = 4;

/** The same when they are consumed in order: some are prepared while one is in use. */
export async function* fewAhead<T, R>(
  items: readonly T[],
  read: (item: T) => Promise<R>,
): AsyncGenerator<R, void, void> {
  const begun: Promise<R>[] = [];
  const begin = (item: T) => {
    const reading = read(item);
    // Whoever reaches it gets the error.
    reading.catch(() => undefined);
    begun.push(reading);
  };
  for (const item of items.slice(0, inFlight)) begin(item);
  for (let next = inFlight; begun.length > 0; next++) {
    const result = await (begun.shift() as Promise<R>);
    if (next < items.length) begin(items[next] as T);
    yield result;
  }
}
