/** Which generations may go, and how many have to: by example and by property. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import {
  countToDelete,
  freedBy,
  type Generation,
  type Holding,
  type KeepReason,
  type Needed,
  type Question,
  surplusOf,
  whyKept,
} from '../../../src/core/run/surplus.ts';
import { storePathOf } from '../../support/releases.ts';

const findSurplus = (question: Question): Generation[] => surplusOf(question.generations, whyKept(question));

const day = 86_400_000;
const now = 1000 * day;
const system = (n: number) => storePathOf(n, `nixos-system-${n}`);
const generation = (number: number, { of = number, age = 100 } = {}): Generation => ({
  number,
  toplevel: system(of),
  made: now - age * day,
});
const nothing: Needed = { numbers: new Map(), systems: new Map() };
const ask = (generations: readonly Generation[], changes: Partial<Question> = {}): Question => ({
  generations,
  needed: nothing,
  retention: { generations: 2, generationDays: 0 },
  now,
  isOneComing: false,
  ...changes,
});
const numbers = (generations: readonly Generation[]) => generations.map(({ number }) => number);
const five = [1, 2, 3, 4, 5].map((n) => generation(n));

test('the newest stay, and one that is coming counts among them', () => {
  assert.deepEqual(numbers(findSurplus(ask(five))), [1, 2, 3]);
  assert.deepEqual(numbers(findSurplus(ask(five, { isOneComing: true }))), [1, 2, 3, 4]);
  const retention = { generations: 4, generationDays: 0 };
  assert.deepEqual(numbers(findSurplus(ask(five, { retention }))), [1]);
});

test('the young stay, however many they are; the day itself is old enough', () => {
  const generations = [
    generation(1, { age: 30 }),
    generation(2, { age: 29.9 }),
    generation(3),
    generation(4),
  ];
  const retention = { generations: 2, generationDays: 30 };
  const kept = whyKept(ask(generations, { retention }));
  assert.deepEqual([...kept].sort(), [
    [2, 'young'],
    [3, 'newest'],
    [4, 'newest'],
  ]);
});

test('of a time to come they are young, but where no days are asked for', () => {
  const generations = [generation(1, { age: -5 }), generation(2), generation(3)];
  assert.deepEqual(numbers(findSurplus(ask(generations))), [1]);
  assert.deepEqual(
    numbers(findSurplus(ask(generations, { retention: { generations: 2, generationDays: 1 } }))),
    [],
  );
});

test('what the machine needs stays, by number or as the newest of its system', () => {
  const generations = [
    generation(1, { of: 9 }),
    generation(2, { of: 9 }),
    ...[3, 4, 5, 6].map((n) => generation(n)),
  ];
  const needed: Needed = {
    numbers: new Map([
      [3, 'previous'],
      [77, 'pending'],
    ]),
    systems: new Map([[system(9), 'booted']]),
  };
  const kept = whyKept(ask(generations, { needed }));
  assert.deepEqual([...kept].sort(), [
    [2, 'booted'],
    [3, 'previous'],
    [5, 'newest'],
    [6, 'newest'],
  ]);
  assert.deepEqual(numbers(findSurplus(ask(generations, { needed }))), [1, 4]);
});

test('what a later one still holds is not free before that has gone', () => {
  const holding = (entries: Record<string, number>): Holding => new Map(Object.entries(entries));
  const surplus = [holding({ a: 1, b: 10 }), holding({ b: 10, c: 100 }), holding({ d: 1000 })];
  assert.deepEqual(freedBy(surplus, []), [1, 111, 1111]);
  assert.deepEqual(freedBy(surplus, [holding({ c: 100 })]), [1, 11, 1011]);
  assert.equal(countToDelete(surplus, [], 0), 0);
  assert.equal(countToDelete(surplus, [], 1), 1);
  assert.equal(countToDelete(surplus, [], 2), 2);
  assert.equal(countToDelete(surplus, [], 1111), 3);
  assert.equal(countToDelete(surplus, [], 1112), undefined);
});

const reasons: readonly KeepReason[] = [
  'installed',
  'running',
  'booted',
  'pending',
  'previous',
  'under-way',
  'held',
];
const generations = fc
  .uniqueArray(fc.integer({ min: 1, max: 40 }), { maxLength: 20 })
  .chain((found) =>
    fc.tuple(
      ...found.map((number) =>
        fc
          .record({ of: fc.integer({ min: 1, max: 10 }), age: fc.integer({ min: 0, max: 60 }) })
          .map((o) => generation(number, o)),
      ),
    ),
  );
const needed: fc.Arbitrary<Needed> = fc.record({
  numbers: fc
    .array(fc.tuple(fc.integer({ min: 1, max: 40 }), fc.constantFrom(...reasons)))
    .map((e) => new Map(e)),
  systems: fc
    .array(fc.tuple(fc.integer({ min: 1, max: 10 }).map(system), fc.constantFrom(...reasons)))
    .map((e) => new Map<string, KeepReason>(e)),
});
const question: fc.Arbitrary<Question> = fc.record({
  generations,
  needed,
  retention: fc.record({
    generations: fc.integer({ min: 2, max: 12 }),
    generationDays: fc.integer({ min: 0, max: 60 }),
  }),
  now: fc.constant(now),
  isOneComing: fc.boolean(),
});

test('never one that is needed: not by number, not the last of a system, not among the newest, not a young one', () => {
  fc.assert(
    fc.property(question, (asked) => {
      const gone = new Set(numbers(findSurplus(asked)));
      const left = asked.generations.filter(({ number }) => !gone.has(number));
      for (const number of asked.needed.numbers.keys()) assert.ok(!gone.has(number));
      for (const of of asked.needed.systems.keys())
        if (asked.generations.some(({ toplevel }) => toplevel === of))
          assert.ok(left.some(({ toplevel }) => toplevel === of));
      const newest = numbers(asked.generations).sort((a, b) => b - a);
      for (const number of newest.slice(0, asked.retention.generations - (asked.isOneComing ? 1 : 0)))
        assert.ok(!gone.has(number));
      for (const { number, made } of asked.generations)
        if (now - made < asked.retention.generationDays * day) assert.ok(!gone.has(number));
    }),
  );
});

test('each is kept for a reason or may go, oldest first', () => {
  fc.assert(
    fc.property(question, (asked) => {
      const surplus = numbers(findSurplus(asked));
      assert.deepEqual(
        surplus,
        [...surplus].sort((a, b) => a - b),
      );
      assert.deepEqual(
        [...surplus, ...whyKept(asked).keys()].sort((a, b) => a - b),
        numbers(asked.generations).sort((a, b) => a - b),
      );
    }),
  );
});

const holdings = fc.array(
  fc.dictionary(fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f'), fc.constant(0)).map((names) => {
    // A file has one size, whoever holds it.
    const sizes = Object.keys(names).map((name) => [name, name.charCodeAt(0) - 96] as const);
    return new Map<string, number>(sizes);
  }),
  { maxLength: 8 },
);

/** The plain way: what nobody holds that is left. */
function reallyFree(gone: readonly Holding[], left: readonly Holding[]): number {
  const all = new Map(gone.flatMap((h) => [...h]));
  for (const holding of left) for (const name of holding.keys()) all.delete(name);
  return [...all.values()].reduce((sum, bytes) => sum + bytes, 0);
}

test('at least what was asked is free where that is possible, and one fewer would not do', () => {
  fc.assert(
    fc.property(holdings, holdings, fc.integer({ min: 0, max: 25 }), (surplus, others, bytes) => {
      const count = countToDelete(surplus, others, bytes);
      const free = (n: number) => reallyFree(surplus.slice(0, n), [...surplus.slice(n), ...others]);
      if (count === undefined) assert.ok(free(surplus.length) < bytes);
      else {
        assert.ok(free(count) >= bytes);
        if (count > 0) assert.ok(free(count - 1) < bytes);
      }
    }),
  );
});
