/** Work on thousands of things, some at a time. */
import { availableParallelism } from 'node:os';

/**
 * As many at a time as keep all processors busy: what the work leaves to other threads goes on meanwhile. After the first fault
 * nothing more is begun, and what was begun has ended when this returns.
 * @throws what the work throws
 */
export async function forEachAtOnce<T>(items: Iterable<T>, work: (item: T) => Promise<void>): Promise<void> {
  // Shared by all: each takes the next, and the first that throws closes it.
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
