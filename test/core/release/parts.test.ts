/** What a medium says of the set that it is part of. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  encodeParts,
  importable,
  neededText,
  parseParts,
  partsWith,
  topmost,
} from '../../../src/core/release/parts.ts';

const manifestDigest = 'ab'.repeat(32);
const carriers = fc
  .tuple(fc.integer({ min: 1, max: 6 }), fc.nat())
  .chain(([of, seed]) =>
    fc.record({
      of: fc.constant(of),
      part: fc.constant(1 + (seed % of)),
      partOf: fc.array(fc.integer({ min: 0, max: of }), { minLength: 1, maxLength: 60 }),
    }),
  )
  .map((hint) => ({ ...hint, partOf: Uint16Array.from(hint.partOf) }));

test('what is written is read again, and anything else is no hint', () => {
  fc.assert(
    fc.property(carriers, (hint) => {
      const index = { length: hint.partOf.length };
      const bytes = encodeParts(hint, manifestDigest);
      assert.deepEqual(parseParts(bytes, { manifestDigest, index }), hint);
      assert.equal(parseParts(bytes, { manifestDigest: 'cd'.repeat(32), index }), undefined);
      assert.equal(parseParts(bytes, { manifestDigest, index: { length: index.length + 1 } }), undefined);
      assert.equal(parseParts(bytes.subarray(0, -3), { manifestDigest, index }), undefined);
    }),
  );
  const good = { schema: 1, manifest: manifestDigest, part: 1, of: 2, lines: [[3, 2]] };
  const read = (value: object) =>
    parseParts(Buffer.from(JSON.stringify(value)), { manifestDigest, index: { length: 3 } });
  assert.ok(read(good));
  for (const bad of [
    { ...good, part: 3 },
    { ...good, lines: [[3, 3]] },
    { ...good, lines: [[4, 1]] },
    { ...good, lines: [[2, 1]] },
    {
      ...good,
      lines: [
        [0, 1],
        [3, 1],
      ],
    },
    { ...good, more: 1 },
  ])
    assert.equal(read(bad), undefined, JSON.stringify(bad));
});

const graph = fc
  .array(fc.array(fc.nat(), { maxLength: 3 }), { minLength: 1, maxLength: 40 })
  .map((refs) =>
    refs.map((r, line) => (line === 0 ? [] : [...new Set(r.map((n) => n % line))].sort((a, b) => a - b))),
  );
const indexOf = (refs: readonly (readonly number[])[]) =>
  ({
    length: refs.length,
    line: (line: number) => ({ references: refs[line] ?? [] }),
  }) as unknown as Parameters<typeof topmost>[0];

test('what is imported now has all it refers to, and nothing else that could come is left', () => {
  fc.assert(
    fc.property(graph, fc.infiniteStream(fc.boolean()), (refs, coin) => {
      const flip = () => coin.next().value as boolean;
      const missing = refs.flatMap((_, line) => (flip() ? [line] : []));
      const here = new Set(missing.filter(flip));
      const now = importable(missing, indexOf(refs), (line) => here.has(line));
      const left = new Set(missing.filter((line) => !now.includes(line)));
      for (const line of now) assert.ok(here.has(line) && refs[line]?.every((r) => !left.has(r)));
      for (const line of left) assert.ok(!here.has(line) || refs[line]?.some((r) => left.has(r)));
    }),
  );
});

test('the topmost paths hold all that are there', () => {
  fc.assert(
    fc.property(graph, fc.nat(), (refs, seed) => {
      const there = (line: number) => line <= seed % refs.length;
      const held = new Set<number>();
      const hold = (line: number) => {
        held.add(line);
        for (const r of refs[line] ?? []) hold(r);
      };
      for (const line of topmost(indexOf(refs), there)) hold(line);
      assert.deepEqual(
        [...held].sort((a, b) => a - b),
        refs.flatMap((_, line) => (there(line) ? [line] : [])),
      );
    }),
  );
});

test('people are told which parts are missing, and which to bring first', () => {
  const hint = { part: 2, of: 4, partOf: Uint16Array.from([1, 1, 2, 3, 4]) };
  assert.deepEqual(partsWith([4, 0, 1], hint), [1, 4]);
  assert.equal(neededText({ of: 4, needed: [3] }), 'still needed of 4: part 3');
  assert.equal(
    neededText({ of: 4, needed: [1, 3, 4] }),
    'still needed of 4: parts 1, 3 and 4; bring part 1 next',
  );
});
