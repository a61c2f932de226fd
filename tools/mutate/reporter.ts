/** A line for each test that has ended: how long it took, and its name. */
import type { TestEvent } from 'node:test/reporters';

export default async function* reporter(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const event of source)
    if (event.type === 'test:pass' || event.type === 'test:fail')
      yield `${JSON.stringify([event.type, event.data.details.duration_ms, event.data.name])}\n`;
}
