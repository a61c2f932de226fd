/** What the entries of a pool need, against going through all of them each time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Listed, PoolIndex } from '../../src/bundle/pool-index.ts';

const hosts = ['a', 'b', 'c'];
const names = ['index/1', 'nar/22/2', 'nar/33/3', 'delta/44/4'];
const listed: fc.Arbitrary<Listed> = fc.record({
  host: fc.constantFrom(...hosts),
  sequence: fc.integer({ min: 1, max: 3 }),
  needs: fc.array(fc.constantFrom(...names)),
});
const step = fc.oneof(
  fc.record({ add: listed }),
  fc.record({
    remove: fc.record({ host: fc.constantFrom(...hosts), sequence: fc.integer({ min: 1, max: 3 }) }),
  }),
);

/** The same by looking at all of it. */
function naive(all: readonly Listed[]) {
  return {
    hosts: [...new Set(all.map((m) => m.host))].sort(),
    newest: hosts.map((host) => Math.max(0, ...all.filter((m) => m.host === host).map((m) => m.sequence))),
    needed: names.filter((name) => all.some((m) => [...m.needs].includes(name))),
  };
}

test('whatever is added and removed, it says what the entries need', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), (steps) => {
      const index = new PoolIndex();
      let all: Listed[] = [];
      for (const each of steps) {
        const { host, sequence } = 'add' in each ? each.add : each.remove;
        all = all.filter((m) => m.host !== host || m.sequence !== sequence);
        if ('add' in each) {
          all.push(each.add);
          index.add(each.add);
        } else index.remove(each.remove);
      }
      const expected = naive(all);
      assert.deepEqual(index.hosts().sort(), expected.hosts);
      assert.deepEqual(
        hosts.map((host) => index.newest(host)),
        expected.newest,
      );
      assert.deepEqual(
        names.filter((name) => index.needs(name)),
        expected.needed,
      );
    }),
  );
});
