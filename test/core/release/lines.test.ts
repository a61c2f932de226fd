/** Lines of canonical JSON: what is refused before it is parsed, for what parsing it would cost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../../src/core/limits.ts';
import { readLines } from '../../../src/core/release/lines.ts';

function read(text: string): unknown[] {
  const values: unknown[] = [];
  const source = {
    bytes: Buffer.from(text),
    code: 'bundle-malformed',
    name: 'x',
    most: limits.lines,
  } as const;
  readLines(source, (value) => values.push(value));
  return values;
}

test('a line with as many references as there may be is read', () => {
  const references = Array.from({ length: limits.lines }, (_, n) => n);
  const line = ['name', references, 'ca'];
  assert.deepEqual(read(`"before"\n${JSON.stringify(line)}\n"after"\n`), ['before', line, 'after']);
});

test('a line longer than any of ours is refused before it is parsed', () => {
  // Digits without end are no JSON: whoever parses them says something else.
  const longest = '0'.repeat(limits.lineBytes - 1);
  assert.throws(() => read(`1\n${longest}\n`), /line 2 is not in canonical form/);
  assert.throws(() => read(`1\n${longest}0\n`), /bundle-malformed: x: line 2 exceeds 2097152 bytes/);
});

for (const [what, open, close] of [
  ['brackets', '[', ']'],
  ['brackets with something between them', '[0,', ']'],
  ['braces', '{"":', '}'],
] as const)
  test(`${what} within ${what} are refused, and take no memory`, () => {
    const nested = (depth: number) => `1\n${open.repeat(depth)}0${close.repeat(depth)}\n`;
    const before = process.memoryUsage().heapTotal;
    assert.throws(() => read(nested(200_000)), /line 2 is not in canonical form/);
    assert.ok(process.memoryUsage().heapTotal - before < 20_000_000, 'it was not even parsed');
    // Few enough to be read with others: what that takes is bounded.
    assert.throws(() => read(nested(10_000)), /line 2 is not in canonical form/);
  });
