/** Each promise of the threat model names the test that holds it, and each attack from inside its own: they are there. */
import assert from 'node:assert/strict';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { attackCategories } from '../support/attack-files.ts';
import { insideAttacks } from '../support/inside-attacks.ts';

const checkout = new URL('../..', import.meta.url).pathname;
const read = (path: string) => readFileSync(join(checkout, path), 'utf8');

/** A test file as the documents shorten it, or a folder of them. */
function holdsTests(path: string): boolean {
  if ([`${path}.test.ts`, `${path}.vm.ts`].some((p) => existsSync(join(checkout, p)))) return true;
  if (!existsSync(join(checkout, path))) return false;
  // One file an attack, made by attacks.test.ts.
  if (attackCategories.some((category) => path === `test/attacks/${category}`)) return true;
  if (!statSync(join(checkout, path)).isDirectory()) return /^test\/.*\.ts$/.test(path);
  return readdirSync(join(checkout, path), { recursive: true, encoding: 'utf8' }).some((p) =>
    /\.(?:test|vm)\.ts$/.test(p),
  );
}

interface Promised {
  readonly promise: string;
  readonly tests: readonly string[];
}

/** The rows of the table whose last column is headed “Test”. */
function promisesIn(document: string): Promised[] {
  const [, table = ''] = document.split(/^\|.*\| Test \|\n\|[-|]+\|\n/m);
  const rows =
    table
      .split('\n\n')[0]
      ?.split('\n')
      .filter((line) => line.startsWith('|')) ?? [];
  return rows.map((row) => {
    const [promise = '', , tests = ''] = row.split(' | ').map((cell) => cell.replace(/^\| | \|$/g, ''));
    return { promise, tests: [...tests.matchAll(/`(test\/[^`]+)`/g)].map(([, path = '']) => path) };
  });
}

test('each promise of the threat model names tests that are there', () => {
  const promises = promisesIn(read('docs/threat-model.md'));
  assert.ok(promises.length > 50, `${promises.length} promises`);
  assert.deepEqual(
    promises.filter(({ tests }) => tests.length === 0 || !tests.every(holdsTests)),
    [],
  );
});

test('a promise without a test, or with one that is not there, would be found', () => {
  const table = '| Promise | How | Test |\n|---|---|---|\n| one | so | |\n| two | so | `test/no/such` |\n';
  assert.deepEqual(promisesIn(table), [
    { promise: 'one', tests: [] },
    { promise: 'two', tests: ['test/no/such'] },
  ]);
  assert.ok(!holdsTests('test/no/such'));
  assert.ok(!holdsTests('test/support'));
});

/** As the source has them: what is put into a name stands there as it is written. */
const titlesIn = (source: string) =>
  [...source.matchAll(/\btest\(\s*(?:'((?:[^'\\]|\\.)*)'|`((?:[^`\\]|\\.)*)`)/g)].map(
    ([, a, b]) => a ?? b ?? '',
  );

test('each attack from inside is made by the test that is named, and no two are the same', () => {
  const all = Object.values(insideAttacks).flat();
  assert.ok(all.length > 20);
  for (const { file, name } of all) {
    const found = titlesIn(read(file)).filter((title) => title.includes(name));
    assert.equal(found.length, 1, `${file}: ${name}`);
  }
  assert.equal(new Set(all.map(({ file, name }) => `${file} ${name}`)).size, all.length);
});
