import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { closureInOrder } from '../../src/core/bundle/reference-order.ts';
import { parseStorePath, type StorePath } from '../../src/core/store-path.ts';

const pathOf = (n: number) => parseStorePath(`/nix/store/${String(n).padStart(32, '0')}-p${n}`) as StorePath;
const node = (n: number, references: readonly number[]) => ({
  path: pathOf(n),
  references: references.map(pathOf),
});

test('what a path refers to comes before it, each once, and nothing comes that the root does not need', () => {
  // Node n refers to itself or to lower ones, as Nix makes them.
  const graphs = fc.array(fc.array(fc.nat(), { maxLength: 5 }), { minLength: 1, maxLength: 40 }).map((rows) =>
    rows.map((row, n) =>
      node(
        n,
        row.map((r) => r % (n + 1)),
      ),
    ),
  );
  fc.assert(
    fc.property(graphs, fc.nat(), fc.infiniteStream(fc.nat()), (graph, pick, order) => {
      const root = graph[pick % graph.length] ?? node(0, []);
      const shuffled = graph
        .map((item) => ({ item, key: order.next().value as number }))
        .sort((a, b) => a.key - b.key)
        .map(({ item }) => item);
      const ordered = closureInOrder(shuffled, root.path);
      const needed = new Set<StorePath>();
      const visit = (path: StorePath) => {
        if (needed.has(path)) return;
        needed.add(path);
        for (const r of graph.find((g) => g.path === path)?.references ?? []) visit(r);
      };
      visit(root.path);
      assert.deepEqual(new Set(ordered.map(({ path }) => path)), needed);
      assert.equal(ordered.length, needed.size);
      ordered.forEach(({ path, references }, i) => {
        for (const r of references)
          if (r !== path) assert.ok(ordered.findIndex((o) => o.path === r) < i, `${r} before ${path}`);
      });
      assert.equal(ordered.at(-1)?.path, root.path);
    }),
  );
});

test('a chain as long as a manifest may be, a ring, and what is not listed end in an order', () => {
  const long = 100_000;
  const chain = Array.from({ length: long }, (_, n) => node(n, n === 0 ? [] : [n - 1]));
  assert.equal(closureInOrder(chain, pathOf(long - 1)).length, long);
  const ring = [node(1, [2]), node(2, [3]), node(3, [1, 9])];
  assert.deepEqual(
    new Set(closureInOrder(ring, pathOf(1)).map((n) => n.path)),
    new Set(ring.map((n) => n.path)),
  );
  assert.deepEqual(closureInOrder(ring, pathOf(9)), []);
});
