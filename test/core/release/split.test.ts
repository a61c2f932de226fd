/** What goes on which of several media. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { costOf, type SplitItem, splitOver } from '../../../src/core/release/split.ts';

const block = 4096;

interface Host {
  readonly fixed: readonly number[];
  /** Lines: size of the piece, and lines above that it refers to. */
  readonly lines: readonly {
    readonly name: string;
    readonly size: number;
    readonly references: readonly number[];
  }[];
}

/** A pool of paths that hosts share; a host has the closure of some of them, in the order of an index. */
const fleet = fc
  .record({
    paths: fc.array(
      fc.record({ size: fc.integer({ min: 1, max: 60_000 }), refs: fc.array(fc.nat(), { maxLength: 3 }) }),
      {
        minLength: 1,
        maxLength: 40,
      },
    ),
    wanted: fc.array(fc.array(fc.nat(), { minLength: 1, maxLength: 4 }), { minLength: 1, maxLength: 4 }),
  })
  .map(({ paths, wanted }): Host[] =>
    wanted.map((picks) => {
      const closure = new Set<number>();
      const add = (path: number) => {
        if (closure.has(path)) return;
        closure.add(path);
        if (path > 0) for (const ref of paths[path]?.refs ?? []) add(ref % path);
      };
      for (const pick of picks) add(pick % paths.length);
      const order = [...closure].sort((a, b) => a - b);
      const lineOf = new Map(order.map((path, line) => [path, line]));
      const lines = order.map((path) => ({
        name: `nar/${path}`,
        size: paths[path]?.size ?? 1,
        references:
          path === 0 ? [] : (paths[path]?.refs ?? []).map((ref) => lineOf.get(ref % path) as number),
      }));
      return { fixed: [500, 9000], lines };
    }),
  );

const itemsOf = (hosts: readonly Host[]): SplitItem[] =>
  hosts.map(({ fixed, lines }) => ({ fixed, pieces: lines }));

const costOfFixed = (hosts: readonly Host[]) =>
  hosts.flatMap(({ fixed }) => fixed).reduce((sum, size) => sum + costOf(size, block), 0);

test('every piece is placed once, within the size of its medium, and after what it refers to', () => {
  fc.assert(
    fc.property(fleet, fc.integer({ min: 66_000, max: 400_000 }), (hosts, free) => {
      const size = free + costOfFixed(hosts);
      const split = splitOver(itemsOf(hosts), { block, roomOf: () => size, isEndless: true });
      assert.ok('partOf' in split, 'every piece fits on a medium of its own');
      const { partOf, parts } = split;
      const names = new Set(hosts.flatMap(({ lines }) => lines.map(({ name }) => name)));
      assert.deepEqual(new Set(partOf.keys()), names);
      const used = new Map<number, number>();
      for (const { name, size: bytes } of new Map(
        hosts.flatMap((h) => h.lines).map((l) => [l.name, l]),
      ).values())
        used.set(
          partOf.get(name) as number,
          (used.get(partOf.get(name) as number) ?? 0) + costOf(bytes, block),
        );
      for (const [part, bytes] of used) {
        assert.ok(part >= 1 && part <= parts);
        assert.ok(bytes + costOfFixed(hosts) <= size);
      }
      for (const { lines } of hosts)
        for (const { name, references } of lines)
          for (const r of references)
            assert.ok((partOf.get(lines[r]?.name ?? '') as number) <= (partOf.get(name) as number));
    }),
  );
});

test('media of different sizes are filled in their order, and what has no place is named', () => {
  fc.assert(
    fc.property(fleet, fc.array(fc.nat({ max: 200_000 }), { minLength: 1, maxLength: 4 }), (hosts, rooms) => {
      const roomOf = (part: number) => rooms[part - 1];
      const split = splitOver(itemsOf(hosts), { block, roomOf, isEndless: false });
      const pieces = new Map(
        hosts.flatMap((h) => h.lines).map(({ name, size }) => [name, costOf(size, block)]),
      );
      if ('misfit' in split) {
        assert.ok(pieces.has(split.misfit.name));
        assert.ok(costOf(split.misfit.size, block) > split.room);
        return;
      }
      assert.ok(split.parts <= rooms.length);
      for (let part = 1; part <= split.parts; part++) {
        const all = [...pieces].filter(([name]) => split.partOf.get(name) === part);
        const bytes = all.reduce((sum, [, cost]) => sum + cost, 0);
        assert.ok(all.length === 0 || bytes + costOfFixed(hosts) <= (roomOf(part) ?? 0));
      }
    }),
  );
});

test('a piece larger than any medium ends the search, however many media there may be', () => {
  const items = [
    {
      fixed: [],
      pieces: [
        { name: 'small', size: 1 },
        { name: 'large', size: 1_000_000 },
      ],
    },
  ];
  const split = splitOver(items, { block, roomOf: () => 500_000, isEndless: true });
  assert.deepEqual(split, { misfit: items[0]?.pieces[1], room: 500_000, left: costOf(1_000_000, block) });
});
