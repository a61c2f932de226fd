/** Nothing prints but by the one writer, and nothing calls text lines that did not make each field printable. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { checkout } from '../machines/program.ts';

const sources = globSync('src/**/*.ts', { cwd: checkout });
const those = (pattern: RegExp) =>
  sources.filter((file) => pattern.test(readFileSync(join(checkout, file), 'utf8'))).sort();

test('standard output and standard error are written to by the terminal’s writer only', () => {
  assert.ok(sources.length > 200);
  // Besides it the version, before anything is loaded.
  assert.deepEqual(those(/std(?:out|err)\.write\(|\bconsole\.(?:log|error|warn|info)\(|writeSync\([12],/), [
    'src/cli/main.ts',
    'src/cli/terminal/output.ts',
  ]);
});

test('text is taken for lines without its fields being seen to only where they were', () => {
  assert.deepEqual(those(/\basLines\(|as Lines\b/), [
    'src/core/lines.ts',
    'src/core/run/receipt.ts',
    'src/report/tables.ts',
  ]);
});
