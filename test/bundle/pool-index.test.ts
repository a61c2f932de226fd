/** The index of a pool's manifests, against going through all of them each time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type Listed, PoolIndex } from '../../src/bundle/pool-index.ts';

const hosts = ['a', 'b', 'c'];
const names = ['1.narinfo', '2.narinfo', '3.narinfo', 'nar/4'];
const listed: fc.Arbitrary<Listed> = fc.record({
  host: fc.constantFrom(...hosts),
  sequence: fc.integer({ min: 1, max: 3 }),
  members: fc.uniqueArray(
    fc.record({ name: fc.constantFrom(...names), sha256: fc.constantFrom('x', 'y', 'z') }),
    { selector: ({ name }) => name },
  ),
});
const step = fc.oneof(
  fc.record({ add: listed }),
  fc.record({
    remove: fc.record({ host: fc.constantFrom(...hosts), sequence: fc.integer({ min: 1, max: 3 }) }),
  }),
);

/** The same by looking at all of it. */
function naive(all: readonly Listed[]) {
  const digestsBeside = (of: Listed) => {
    const others = all.filter((m) => m.host !== of.host || m.sequence !== of.sequence);
    return new Map(
      of.members.flatMap(({ name }) => {
        const digests = others.flatMap((m) => m.members.filter((o) => o.name === name).map((o) => o.sha256));
        return digests.length === 0 ? [] : [[name, new Set(digests.sort())] as const];
      }),
    );
  };
  return {
    hosts: [...new Set(all.map((m) => m.host))].sort(),
    newest: hosts.map((host) => Math.max(0, ...all.filter((m) => m.host === host).map((m) => m.sequence))),
    needed: names.filter((name) => all.some((m) => m.members.some((o) => o.name === name))),
    digestsBeside,
  };
}

const sorted = (digests: ReadonlyMap<string, ReadonlySet<string>>) =>
  new Map([...digests].map(([name, set]) => [name, new Set([...set].sort())]));

test('whatever is added and removed, it says what the manifests say', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 30 }), listed, (steps, asked) => {
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
      for (const of of [...all, asked])
        assert.deepEqual(sorted(index.digestsBeside(of)), sorted(expected.digestsBeside(of)));
    }),
  );
});
