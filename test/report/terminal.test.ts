/** What a terminal is shown fits it: progress, tables, times of its own zone, colours only as marks. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { lines } from '../../src/core/lines.ts';
import { folded, sgrOf, splitMarks, styled, withoutMarks } from '../../src/core/style.ts';
import { describeStep } from '../../src/report/byte-progress.ts';
import { table } from '../../src/report/columns.ts';
import { localDate, localMinute, localSecond } from '../../src/report/local-time.ts';

const gib = 1024 ** 3;

test('a line of progress fits, whatever the host is called: its bar goes first, then the end of its name', () => {
  const step = { title: 'web: copying', done: gib, total: 4 * gib };
  const drawn = (width: number, title = step.title) =>
    describeStep({ ...step, title }, { elapsed: 30_000, width });
  assert.equal(drawn(79), 'web: copying [######..................] 25 %, 1 GiB of 4 GiB, 2 min left');
  assert.equal(drawn(65), 'web: copying [###.........] 25 %, 1 GiB of 4 GiB, 2 min left');
  assert.equal(drawn(50), 'web: copying 25 %, 1 GiB of 4 GiB, 2 min left');
  assert.equal(drawn(79, 'x'.repeat(60)), `${'x'.repeat(42)}... 25 %, 1 GiB of 4 GiB, 2 min left`);
  fc.assert(
    fc.property(fc.nat(200), fc.integer({ min: 60, max: 200 }), fc.nat(100), (name, width, share) => {
      const text = describeStep(
        { title: 'h'.repeat(name), done: share * gib, total: 100 * gib },
        { elapsed: 5000, width },
      );
      assert.ok(text.length <= width, text);
    }),
  );
});

const heads = ['WHEN', 'STATE', 'WHY'];
const rows = [
  ['today', 'done', 'the bundle was already taken, and there was nothing to do'],
  ['yesterday', 'refused', '-'],
];

test('a table that is too wide goes on below its own columns, between words', () => {
  assert.equal(table(heads, rows).split('\n').length, 4, 'one line a row where nothing limits it');
  assert.equal(
    table(heads, rows, { width: 40 }),
    `WHEN       STATE    WHY
today      done     the bundle was
                    already taken, and
                    there was nothing to
                    do
yesterday  refused  -
`,
  );
});

test('a path that is too long gets a line of its own, whole', () => {
  const path = '/nix/store/00000000000000000000000000000000-x';
  assert.equal(
    table(['HOST', 'BUNDLE'], [['web', path]], { width: 48 }),
    `HOST\n    BUNDLE\nweb\n    ${path}\n`,
  );
});

test('columns that a narrow terminal has no room for go, in their order, and the others keep their colours', () => {
  const wide = ['a'.repeat(20), 'b'.repeat(20), 'c'.repeat(20), 'd'.repeat(20)];
  const shown = (width: number) =>
    withoutMarks(table(['A', 'B', 'C', 'D'], [wide], { width, optional: [2, 0] }))
      .split('\n')[0]
      ?.split(/ +/);
  assert.deepEqual(shown(86), ['A', 'B', 'C', 'D']);
  assert.deepEqual(shown(70), ['A', 'B', 'D']);
  assert.deepEqual(shown(50), ['B', 'D']);
  const coloured = table(['A', 'B', 'C'], [wide.slice(0, 3)], {
    width: 50,
    optional: [1],
    style: (_, column) => (column === 2 ? 'bad' : undefined),
  });
  assert.ok(coloured.includes(styled('bad', lines`${'c'.repeat(20)}`)));
});

test('a sentence goes on in the next line between words, as far in, with its colours, and a path stays whole', () => {
  assert.equal(folded('  one two three\nfour', 10), '  one two\n  three\nfour');
  assert.equal(folded(styled('bad', lines`one two`), 7), styled('bad', lines`one two`));
  assert.equal(folded('x /nix/store/00000000', 10), 'x\n/nix/store/00000000');
});

test('no table of words is wider than it may be, and none loses any', () => {
  const word = fc.string({ unit: fc.constantFrom('a', 'b'), minLength: 1, maxLength: 8 });
  const cell = fc.array(word, { minLength: 1, maxLength: 12 }).map((all) => all.join(' '));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(cell, cell, cell), { maxLength: 4 }),
      fc.integer({ min: 40, max: 90 }),
      (all, width) => {
        const text = table(['A', 'B', 'C'], all, { width });
        for (const line of text.split('\n')) assert.ok(line.length <= width, line);
        const letters = (of: string) => [...of.replace(/[^ab]/g, '')].sort().join('');
        assert.equal(letters(text), letters(all.flat().join('')));
      },
    ),
  );
});

test('colours are marks that a field can’t bring along, and nothing where there are none', () => {
  const text = table(['STATE', 'X'], [['done', 1]], {
    style: (row, column) => (row + column === 0 ? 'good' : undefined),
  });
  assert.equal(withoutMarks(text), 'STATE  X\ndone   1\n');
  const coloured = splitMarks(text).map((part, i) => (i % 2 === 0 ? part : sgrOf(part, true)));
  assert.equal(coloured.join(''), 'STATE  X\n\u001b[32mdone\u001b[0m   1\n');
  const hostile = lines`${withoutMarks(styled('bad', lines`x`))}${styled('bad', lines`y`).slice(0, 1)}`;
  assert.equal(splitMarks(hostile).length, 1);
  assert.match(hostile, /\\ufdd2/);
});

test('times are this machine’s, with their zone, whatever the season', () => {
  const zone = process.env.TZ;
  try {
    process.env.TZ = 'Europe/Berlin';
    assert.equal(localSecond('2026-11-29T11:03:15Z'), '2026-11-29 12:03:15 +0100');
    assert.equal(localMinute('2026-07-01T22:30:00.000Z'), '2026-07-02 00:30 +0200');
    assert.equal(localDate('2026-07-01T22:30:00Z'), '2026-07-02');
    process.env.TZ = 'America/St_Johns';
    assert.equal(localMinute('2026-01-01T00:00:00Z'), '2025-12-31 20:30 -0330');
    process.env.TZ = 'UTC';
    assert.equal(localMinute('2026-01-01T00:00:00Z'), '2026-01-01 00:00 UTC');
  } finally {
    if (zone === undefined) delete process.env.TZ;
    else process.env.TZ = zone;
  }
  assert.equal(localMinute('never'), 'never');
});
