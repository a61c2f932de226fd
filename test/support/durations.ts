/**
 * A reporter for node:test: which tests and files took longest, as JSON. Threat: tests that nobody runs, for they take too
 * long, and nobody knows which.
 */
import { relative } from 'node:path';
import type { TestEvent } from 'node:test/reporters';

interface Took {
  readonly file: string;
  readonly test?: string;
  readonly seconds: number;
}

const seconds = (ms: number) => Math.round(ms) / 1000;
const slowestFirst = (all: readonly Took[]) => all.toSorted((a, b) => b.seconds - a.seconds);

export default async function* durations(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const here = (file: string | undefined) => relative(process.cwd(), file ?? '');
  const tests: Took[] = [];
  const files: Took[] = [];
  let all = 0;
  for await (const { type, data } of source) {
    if (type === 'test:pass' || type === 'test:fail')
      tests.push({ file: here(data.file), test: data.name, seconds: seconds(data.details.duration_ms) });
    else if (type === 'test:summary' && data.file !== undefined)
      files.push({ file: here(data.file), seconds: seconds(data.duration_ms) });
    else if (type === 'test:summary') all = seconds(data.duration_ms);
  }
  const table = { schema: 1, seconds: all, files: slowestFirst(files), tests: slowestFirst(tests) };
  yield `${JSON.stringify(table, null, 1)}\n`;
}
