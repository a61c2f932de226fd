/** What fuzzer and mutator make of our sources: counters that change nothing, and changes that are what they say. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { mutantsOf } from '../../tools/mutate/mutants.ts';
import { parseSource } from '../../tools/syntax/parse.ts';
import { counters, withCounters } from '../fuzz/instrument.ts';

const checkout = new URL('../..', import.meta.url).pathname;
const sources = readdirSync(join(checkout, 'src'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.ts'))
  .map((name) => join('src', name));

/** A text of every form in which control goes one way or another. */
const forms = `
const pick = (n: number): string => (n > 2 ? 'many' : n > 1 ? 'two' : 'one');
function walk(list: readonly number[]): string {
  let text = '';
  for (const n of list) if (n === 0) continue; else text += pick(n);
  let left = 2;
  while (left > 0) left--;
  do left++; while (left < 3);
  for (let i = 0; i < 2; i++) { text += i; }
  if (text === '') return 'none';
  try { if (left > 3 || list.length > 9) throw new Error('never'); }
  catch { text += '!'; }
  switch (list.length) { case 1: text += 'a'; break; case 2: default: text += 'b'; }
  return text + ((left && { left }) ?? { left: 0 }).left;
}
export const said = [walk([]), walk([0, 1]), walk([3, 2, 1])].join();
`;

test('a source with counters does what it did, and its branches are counted', async () => {
  const load = async (text: string) =>
    ((await import(`data:text/javascript,${encodeURIComponent(text)}`)) as { said: string }).said;
  const before = counters.reduce((a, b) => a + b, 0);
  assert.equal(await load(withCounters(forms)), await load(parseSource(forms).code));
  assert.ok(counters.reduce((a, b) => a + b, 0) > before + 20);
});

test('every source can be read with counters in it', () => {
  for (const file of sources) parseSource(withCounters(readFileSync(join(checkout, file), 'utf8')));
});

test('every change gives a source that can be read', () => {
  for (const file of sources.filter((f) => /^src\/(?:target\/root|signing)\//.test(f))) {
    const text = readFileSync(join(checkout, file), 'utf8');
    for (const { start, end, replacement } of mutantsOf(checkout, file))
      parseSource(text.slice(0, start) + replacement + text.slice(end));
  }
});

test('a check is dropped as one change, and what is only said is not', () => {
  const ofFile = mutantsOf(checkout, 'src/target/root/reboot.ts');
  const dropped = ofFile.filter((m) => m.kind === 'check dropped').map((m) => m.change);
  assert.ok(dropped.includes("⟦if (machine.role !== 'root') return;⟧ ⇒ ⟦;⟧"), dropped.join('\n'));
  assert.ok(!ofFile.some((m) => m.kind === 'call dropped' && m.change.includes('emit(')));
});
