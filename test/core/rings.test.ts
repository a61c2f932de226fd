/** Whose turn it is: never before what the ring before it must show is known. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decideTurns, parseRings, type RingHost, type RingRun } from '../../src/core/rings.ts';

const now = new Date('2026-11-28T12:00:00Z');
const daysAgo = (days: number) => new Date(now.getTime() - days * 86_400_000).toISOString();
const run = (
  sequence: number,
  state = 'committed',
  collected: string | undefined = daysAgo(10),
): RingRun => ({
  sequence,
  state,
  collected,
});
const host = (name: string, sequence: number | undefined, ...runs: RingRun[]): RingHost => ({
  host: name,
  sequence,
  runs,
});
const rings = parseRings({
  schema: 1,
  rings: [
    { name: 'canary', hosts: ['test-*', 'lab'] },
    { name: 'early', hosts: ['ship-1', 'ship-2'], after: { days: 7, committed: 2 } },
    { name: 'rest', hosts: ['ship-*'], after: { days: 0 } },
  ],
});

const why = (hosts: readonly RingHost[], name: string) => {
  const turn = decideTurns(rings, hosts, now).get(name);
  return turn?.isDue === true ? 'due' : turn?.why;
};

const canaries = [host('test-1', 5, run(5)), host('lab', 8, run(8))];

test('the first ring is always due, a host belongs to the first ring that names it, and one that none names to nobody', () => {
  const turns = decideTurns(rings, [...canaries, host('ship-1', 3), host('mast', 1)], now);
  assert.deepEqual(turns.get('test-1'), { isDue: true, ring: 'canary' });
  assert.deepEqual(turns.get('ship-1'), { isDue: true, ring: 'early' });
  assert.deepEqual(turns.get('mast'), { isDue: false, ring: undefined, why: 'it is in no ring' });
});

for (const [what, before, expected] of [
  ['enough have committed, long enough ago', canaries, 'due'],
  [
    'one has',
    [host('test-1', 5, run(5)), host('lab', 8)],
    '1 of 2 hosts of ring “canary” have committed this release',
  ],
  [
    'one has an older release',
    [host('test-1', 5, run(5)), host('lab', 8, run(7))],
    '1 of 2 hosts of ring “canary” have committed this release',
  ],
  [
    'one only installed it',
    [host('test-1', 5, run(5)), host('lab', 8, run(8, 'pending'))],
    '1 of 2 hosts of ring “canary” have committed this release',
  ],
  [
    'the second came five days ago',
    [host('test-1', 5, run(5)), host('lab', 8, run(8, 'committed', daysAgo(5)))],
    'ring “canary” has had this release for 5 of 7 days',
  ],
  [
    'the second lost it, and has it again since yesterday',
    [
      host('test-1', 5, run(5)),
      host('lab', 8, run(8), run(8, 'rolled-back', daysAgo(2)), run(8, 'committed', daysAgo(1))),
    ],
    'ring “canary” has had this release for 1 of 7 days',
  ],
  [
    'it is not known when',
    [host('test-1', 5, run(5)), host('lab', 8, { ...run(8), collected: undefined })],
    '1 of 2 hosts of ring “canary” have committed this release',
  ],
  [
    'a receipt is from the future',
    [host('test-1', 5, run(5)), host('lab', 8, run(8, 'committed', daysAgo(-3)))],
    'ring “canary” has had this release for 0 of 7 days',
  ],
  [
    'one rolled back',
    [...canaries, host('test-2', 6, run(6, 'rolled-back'))],
    'test-2 of ring “canary” did not keep release 6 (rolled-back)',
  ],
  [
    'one rolled back first and kept it then',
    [...canaries, host('test-2', 6, run(6, 'rolled-back'), run(6))],
    'due',
  ],
  [
    'one kept it first and rolled back then',
    [...canaries, host('test-2', 6, run(6), run(6, 'failed'))],
    'test-2 of ring “canary” did not keep release 6 (failed)',
  ],
  ['only one is in the ring', [host('test-1', 5, run(5))], 'due'],
  [
    'there is no bundle for any of it',
    [host('test-1', undefined, run(5))],
    'no bundle for a host of ring “canary” is here, so nobody knows whether it has this release',
  ],
  [
    'there is nobody',
    [],
    'no bundle for a host of ring “canary” is here, so nobody knows whether it has this release',
  ],
] as const)
  test(`of the ring before ${what}: ${expected}`, () => {
    assert.equal(why([...before, host('ship-1', 3)], 'ship-1'), expected);
  });

test('a ring waits for the one right before it', () => {
  assert.match(
    why([...canaries, host('ship-1', 3), host('ship-9', 3)], 'ship-9') ?? '',
    /^0 of 1 hosts of ring “early”/,
  );
  assert.equal(why([...canaries, host('ship-1', 3, run(3)), host('ship-9', 3)], 'ship-9'), 'due');
});

test('more that is known, and more that was committed, never takes a turn away', () => {
  const state = fc.constantFrom('committed', 'pending', 'rolled-back');
  const member = fc.record({ state, days: fc.integer({ min: -5, max: 30 }) });
  fc.assert(
    fc.property(fc.array(member, { minLength: 1, maxLength: 5 }), (members) => {
      const hosts = members.map((m, i) => host(`test-${i}`, 5, run(5, m.state, daysAgo(m.days))));
      const isDue = why([...hosts, host('ship-1', 3)], 'ship-1') === 'due';
      const committed = members.filter((m) => m.state === 'committed' && m.days >= 7).length;
      const isBad = members.some((m) => m.state === 'rolled-back');
      assert.equal(isDue, !isBad && committed >= Math.min(2, members.length));
      const better = [...hosts, host('test-9', 5, run(5))];
      if (isDue) assert.equal(why([...better, host('ship-1', 3)], 'ship-1'), 'due');
    }),
  );
});

for (const [what, value, detail] of [
  [
    'a name twice',
    {
      schema: 1,
      rings: [
        { name: 'a', hosts: ['x'] },
        { name: 'a', hosts: ['y'] },
      ],
    },
    /same name/,
  ],
  ['no hosts', { schema: 1, rings: [{ name: 'a', hosts: [] }] }, /hosts/],
  ['a name with a space', { schema: 1, rings: [{ name: 'a b', hosts: ['x'] }] }, /lower-case/],
  ['a key that is not known', { schema: 1, rings: [{ name: 'a', hosts: ['x'], wait: 3 }] }, /wait/],
  ['another schema', { schema: 2, rings: [] }, /schema/],
] as const)
  test(`rings with ${what} are refused`, () => {
    assert.throws(
      () => parseRings(value),
      (error: { code: string; detail: string }) => {
        assert.equal(error.code, 'usage');
        assert.match(error.detail, detail);
        return true;
      },
    );
  });
