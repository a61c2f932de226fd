/** A release that a person holds, as the decision sees it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decide, type Facts } from '../../src/core/policy/decide.ts';
import {
  type HeldRelease,
  heldInForce,
  mostHeld,
  withHeld,
  withoutHeld,
} from '../../src/core/policy/held.ts';
import { parseManifest } from '../../src/core/release/manifest.ts';
import { facts, manifestText, policy } from '../support/manifests.ts';

const since = '2026-11-28T12:00:00Z';
const holding = (sequence: number, floor = sequence): HeldRelease => ({
  ...{ sequence, floor, since, because: 'rolled back from it' },
});
const own = 'd'.repeat(64);

for (const [behaviour, given, expected] of [
  [
    'is refused, with who and when',
    { held: [holding(7)] },
    `refuse release-held: release 7 has been held since ${since} (rolled back from it)`,
  ],
  ['keeps no other out', { held: [holding(6), holding(8)] }, 'accept'],
  [
    'is no news where it is what runs',
    { held: [holding(7)], floor: { sequence: 7, manifestDigest: own }, toplevelInPlace: true },
    'already-committed',
  ],
  [
    'is refused where it was taken before, and left',
    { held: [holding(7)], floor: { sequence: 7, manifestDigest: own } },
    `refuse release-held: release 7 has been held since ${since} (rolled back from it)`,
  ],
  [
    'is told as older where something newer was taken',
    { held: [holding(7)], floor: { sequence: 8, manifestDigest: own } },
    'refuse sequence-older: it has sequence 7; this machine has taken 8',
  ],
  ['waits where nobody knows what is held', { heldDoubt: 'damaged' }, 'defer held-lost: damaged'],
] satisfies [string, Partial<Facts>, string][])
  test(`a release that is held ${behaviour}`, () => {
    const asked = facts({ manifestDigest: own, ...given });
    const verdict = decide(parseManifest(manifestText({ sequence: 7 })), asked, policy);
    const said = 'code' in verdict ? ` ${verdict.code}: ${verdict.detail}` : '';
    assert.equal(`${verdict.verdict}${said}`, expected);
  });

test('what was signed to go below the floor and is held counts until the floor has risen', () => {
  const held = withHeld([], { sequence: 2, since, because: 'x' }, { sequence: 3 });
  assert.deepEqual(
    heldInForce(held, { sequence: 3 }).map((h) => h.sequence),
    [2],
  );
  assert.deepEqual(heldInForce(held, { sequence: 4 }), []);
  assert.deepEqual(
    heldInForce([holding(2)], undefined),
    [holding(2)],
    'and on a machine that has taken nothing',
  );
});

test('whatever is held and freed: in force are those above the floor, each once, and no more than there may be', () => {
  const sequence = fc.integer({ min: 1, max: 200 });
  const floor = fc.option(fc.record({ sequence }), { nil: undefined });
  fc.assert(
    fc.property(fc.array(sequence, { maxLength: 100 }), sequence, floor, (all, freed, at) => {
      const held = all.reduce<HeldRelease[]>(
        (list, each) => withHeld(list, { sequence: each, since, because: 'x' }, at),
        [],
      );
      const names = heldInForce(held, at).map((h) => h.sequence);
      assert.equal(new Set(names).size, names.length);
      assert.deepEqual(names, [...new Set(all)].sort((a, b) => a - b).slice(-mostHeld));
      assert.ok(withoutHeld(held, freed).every((h) => h.sequence !== freed));
    }),
  );
});
