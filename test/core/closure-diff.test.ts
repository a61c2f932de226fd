import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { diffClosures } from '../../src/core/bundle/closure-diff.ts';
import { parseStorePath, type StorePath } from '../../src/core/store-path.ts';
import { describeDiff } from '../../src/report/diff.ts';

let count = 0;
const made = (name: string, narSize = 1024) => {
  count += 1;
  return {
    path: parseStorePath(`/nix/store/${String(count).padStart(32, '0')}-${name}`) as StorePath,
    narSize,
  };
};

test('versions, new names, names that are gone, and what was only built anew', () => {
  const kept = made('glibc-2.40', 4096);
  const before = [
    kept,
    made('firefox-130.0'),
    made('openssl-3.0.14-bin'),
    made('etc'),
    made('gone'),
    made('a-1'),
    made('a-2'),
  ];
  const after = [
    kept,
    made('firefox-131.0'),
    made('openssl-3.0.14-bin'),
    made('etc'),
    made('new-2.0'),
    made('a-2'),
  ];
  const diff = diffClosures(before, after);
  assert.deepEqual(diff.packages, [
    { name: 'a', from: ['1', '2'], to: ['2'] },
    { name: 'firefox', from: ['130.0'], to: ['131.0'] },
    { name: 'gone', from: [''], to: [] },
    { name: 'new', from: [], to: ['2.0'] },
  ]);
  assert.equal(diff.rebuilt, 2);
  assert.deepEqual(describeDiff({ ...diff, units: ['a.service', 'b.timer'], restart: ['kernel'] }, 20), [
    '  a 1, 2 → 2',
    '  firefox 130.0 → 131.0',
    '- gone',
    '+ new 2.0',
    '2 paths rebuilt or reconfigured at the same version',
    'units: a.service, b.timer',
    'takes effect after a restart: kernel',
    'size: 10 KiB → 9 KiB (−1 KiB)',
  ]);
  assert.deepEqual(describeDiff({ ...diff, units: ['a.service', 'b.timer'], restart: [] }, 1).slice(0, 4), [
    '  a 1, 2 → 2',
    'and 3 more packages',
    '2 paths rebuilt or reconfigured at the same version',
    'units: a.service and 1 more',
  ]);
});

test('a system compared with itself differs in nothing, and the other way round is the other way round', () => {
  const names = fc.array(fc.constantFrom('a-1', 'a-2', 'b', 'c-3.1-dev', 'd-x-4'), { maxLength: 8 });
  fc.assert(
    fc.property(names, names, (one, two) => {
      const [before, after] = [one.map((n) => made(n)), two.map((n) => made(n))];
      const same = diffClosures(before, before);
      assert.deepEqual([same.packages, same.rebuilt], [[], 0]);
      const there = diffClosures(before, after).packages;
      const back = diffClosures(after, before).packages;
      assert.deepEqual(
        there,
        back.map(({ name, from, to }) => ({ name, from: to, to: from })),
      );
    }),
  );
});

test('an output’s name, or a variant’s, is no version, nor what a name begins with', () => {
  const diff = diffClosures(
    [made('linux-6.12-x2-dev'), made('7zip-24')],
    [made('linux-6.13-x2-dev'), made('7zip-25')],
  );
  assert.deepEqual(diff.packages, [
    { name: '7zip', from: ['24'], to: ['25'] },
    { name: 'linux-x2-dev', from: ['6.12'], to: ['6.13'] },
  ]);
});
