/** One line for each finished test: how long it took, its name, and the processor time of the whole process so far. */
import type { TestEvent } from 'node:test/reporters';

export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source)
    if (event.type === 'test:pass' || event.type === 'test:fail')
      yield `${JSON.stringify([event.type, event.data.details.duration_ms, event.data.name, cpuTime()])}\n`;
}

/** Milliseconds. */
function cpuTime(): number {
  const { user, system } = process.cpuUsage();
  return Math.round((user + system) / 1000);
}
