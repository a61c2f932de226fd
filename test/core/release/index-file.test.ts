import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NixmakerError, type ReasonCode } from '../../../src/core/errors.ts';
import { limits } from '../../../src/core/limits.ts';
import { ReleaseIndex } from '../../../src/core/release/index-file.ts';
import { encodeIndex, type IndexedPath } from '../../../src/core/release/write-index.ts';
import type { StorePath } from '../../../src/core/store-path.ts';
import { digits, indexedPath, indexOf, largeClosure, storePathOf } from '../../support/releases.ts';

const read = (text: string, root = storePathOf(9)) => ReleaseIndex.parse(Buffer.from(text), root);

function refused(work: () => unknown, code: ReasonCode, detail: RegExp): void {
  assert.throws(work, (error: unknown) => {
    assert.ok(error instanceof NixmakerError, String(error));
    assert.equal(error.code, code);
    assert.match(error.detail, detail);
    return true;
  });
}

/** 1 and 2 without references, 5 to both, 9 to 5 and itself. */
const small = encodeIndex(
  [indexedPath(9, [5, 9]), indexedPath(5, [2, 1]), indexedPath(2), indexedPath(1)],
  storePathOf(9),
);

test('an index lists what is referred to first, by depth and name, and ends with the root', () => {
  const index = read(small.text);
  assert.deepEqual(
    [0, 1, 2, 3].map((n) => index.path(n)),
    [1, 2, 5, 9].map((n) => storePathOf(n)),
  );
  assert.deepEqual([...index.references(2)], [0, 1]);
  assert.deepEqual([...index.references(3)], [2, 3]);
  assert.deepEqual(index.line(1), { ...indexedPath(2), references: [] });
  assert.deepEqual(index.totals, { paths: 4, files: 4, blocks: 4, narBytes: 417, largestNar: 109 });
  assert.deepEqual(index.totals, small.totals);
  assert.deepEqual([index.narSize(3), index.files(3), index.blocks(3)], [109, 1, 1]);
  assert.throws(() => index.line(4), RangeError);
  assert.throws(() => index.narSize(4), RangeError);
});

test('what the root does not refer to is not in its index', () => {
  const paths = [indexedPath(9, [5, 9]), indexedPath(5, [2, 1]), indexedPath(2), indexedPath(1)];
  assert.equal(encodeIndex([...paths, indexedPath(7)], storePathOf(9)).text, small.text);
});

test('a path that is missing, and paths that refer to each other, are told when writing', () => {
  refused(
    () => encodeIndex([indexedPath(9, [5])], storePathOf(9)),
    'closure-incomplete',
    /p5, a reference of \S+p9, is missing/,
  );
  refused(
    () => encodeIndex([indexedPath(9, [5]), indexedPath(5, [9])], storePathOf(9)),
    'closure-incomplete',
    /through other paths/,
  );
});

const lines = small.text.trimEnd().split('\n');
const [one = '', two = '', five = '', nine = ''] = lines;
const joined = (...all: readonly string[]) => `${all.join('\n')}\n`;
const text256 = `text:sha256:${digits(1, 52)}`;

for (const [what, text, detail] of [
  ['nothing', '', /empty/],
  ['no newline at the end', small.text.trimEnd(), /does not end with a newline/],
  ['an empty line', joined(one, '', two, five, nine), /line 2 is not in canonical form/],
  ['white space', small.text.replace(',100', ', 100').replace(',101', ', 101'), /not in canonical form/],
  [
    'another spelling of a number',
    small.text.replace(',101,', ',1.01e2,'),
    /line 1 is not in canonical form/,
  ],
  ['a negative zero', small.text.replace(',101,', ',-0,'), /line 1 is not in canonical form/],
  ['a number beyond 2^53', small.text.replace(',101,', ',9007199254740993,'), /line 1/],
  ['an escape', small.text.replace('-p1"', '-p\\u0031"'), /line 1 is not in canonical form/],
  ['two lines in one', joined(`${one},${two}`, five, nine), /line 1 is not in canonical form/],
  ['a line in two', small.text.replace('"],'.slice(1), ']\n,'), /line/],
  ['a line broken after its name', small.text.replace('-p1",', '-p1"\n'), /line 1 is not in canonical form/],
  [
    'a balance of broken and joined lines',
    joined(`${one},${two.slice(0, -1)}`, five.slice(1), nine),
    /not in canonical form/,
  ],
  ['a letter that is not ASCII', small.text.replace('-p1"', '-pä"'), /line 1: it does not name a store path/],
  [
    'no UTF-8',
    Buffer.from(small.text.replace('-p1"', '-p\u00ff"'), 'utf8').toString('latin1'),
    /store path|text/,
  ],
  ['an object', joined('{}', two, five, nine), /line 1: it has the wrong fields/],
  ['a field more', small.text.replace('""]', '"",0]'), /line 1: it has the wrong fields/],
  ['a name with a slash', small.text.replace('-p1"', '-p/1"'), /line 1: it does not name a store path/],
  ['a hash that is none', small.text.replace(`"${digits(1, 52)}"`, `"${digits(1, 51)}"`), /line 1: its hash/],
  ['no files', small.text.replace(',101,1,', ',101,0,'), /line 1: its sizes are invalid/],
  ['a negative size', small.text.replace(',101,', ',-1,'), /line 1: its sizes are invalid/],
  ['a size in a string', small.text.replace(',101,', ',"101",'), /line 1: its sizes are invalid/],
  ['a content address that is none', small.text.replace('""]', '"fixed:x"]'), /line 1: its content address/],
  ['a reference to a later line', small.text.replace('[],""', '[2],""'), /line 1: its references/],
  ['references in another order', small.text.replace('[0,1]', '[1,0]'), /line 3: its references/],
  ['a reference twice', small.text.replace('[0,1]', '[0,0,1]'), /line 3: its references/],
  ['a reference that is no number', small.text.replace('[0,1]', '["0",1]'), /line 3: its references/],
  ['a path twice', joined(one, one, five, nine), /line 2: it is out of order or a duplicate/],
  ['another order', joined(two, one, five, nine), /line 2: it is out of order/],
  ['a deeper line before', joined(one, two, five.replace('[0,1]', '[]'), nine), /last line|refers|order/],
  [
    'a line nothing refers to',
    joined(one, two, five.replace('[0,1]', '[0]'), nine),
    /line 2: nothing refers to it/,
  ],
  ['another root', joined(one, two, five), /its last line is not/],
  [
    'a text that refers to itself',
    joined(one, two, five, nine.replace('""]', `"${text256}"]`)),
    /line 4: it refers to itself, which a text path cannot/,
  ],
  ['bytes before the first line', ` ${small.text}`, /not in canonical form/],
  ['a byte order mark', `\ufeff${small.text}`, /not in canonical form|ASCII/],
] as const)
  test(`an index with ${what} is refused`, () => {
    assert.notEqual(text, small.text);
    refused(() => read(text), 'manifest-malformed', detail);
  });

for (const ca of [
  text256,
  `fixed:r:sha256:${digits(1, 52)}`,
  `fixed:sha512:${digits(1, 103)}`,
  `fixed:sha1:${digits(1, 32)}`,
  `fixed:md5:${digits(1, 26)}`,
  `fixed:git:sha1:${digits(1, 32)}`,
])
  test(`a content address of the kind ${ca.replace(/:[^:]*$/, '')} is read`, () => {
    const { text } = encodeIndex([indexedPath(1, [], { ca })], storePathOf(1));
    assert.equal(read(text, storePathOf(1)).line(0).ca, ca);
  });

/** Closures of any form: each path refers to some with a lower number, the last to all that nobody refers to. */
const closures = fc
  .array(fc.record({ to: fc.array(fc.nat(), { maxLength: 4 }), self: fc.boolean(), size: fc.nat(1e9) }), {
    minLength: 1,
    maxLength: 40,
  })
  .map((drawn): IndexedPath[] => {
    const paths = drawn.map(({ to, self, size }, n) => {
      const references = n === 0 ? [] : [...new Set(to.map((t) => t % n))];
      return indexedPath(n, self ? [...references, n] : references, { narSize: size, blocks: size % 7 });
    });
    const referred = new Set(paths.flatMap((p) => p.references.filter((r) => r !== p.path)));
    const stray = paths.map((p) => p.path).filter((p) => !referred.has(p));
    return [...paths, indexedPath(1000, [], { references: stray })];
  });

const root = storePathOf(1000);

test('every closure reads back as it was written, whatever the order in which it is given', () => {
  fc.assert(
    fc.property(closures, fc.integer(), (paths, seed) => {
      const { text, totals } = encodeIndex(paths, root);
      const shuffled = [...paths].sort(
        (a, b) => ((a.narSize * 31 + seed) % 97) - ((b.narSize * 31 + seed) % 97),
      );
      assert.equal(encodeIndex(shuffled, root).text, text);
      const index = read(text, root);
      assert.deepEqual(index.totals, totals);
      const back = new Map<StorePath, unknown>();
      for (let n = 0; n < index.length; n++) {
        const line = index.line(n);
        assert.deepEqual([...index.references(n)], line.references);
        back.set(line.path, { ...line, references: line.references.map((r) => index.path(r)).sort() });
      }
      const given = paths.map((p) => [p.path, { ...p, references: [...p.references].sort() }] as const);
      assert.deepEqual(back, new Map(given));
    }),
  );
});

test('no change of bytes gives another index: it is refused, or it is another closure’s in its one form', () => {
  const { text } = encodeIndex(
    largeClosure(30, { perLayer: 10, references: 2 }),
    storePathOf(29, `${'x'.repeat(30)}-29`),
  );
  const bytes = Buffer.from(text);
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 3 }),
      (changes) => {
        const changed = Buffer.from(bytes);
        for (const [at, value] of changes) changed[at] = value;
        let index: ReleaseIndex;
        try {
          index = ReleaseIndex.parse(changed, storePathOf(29, `${'x'.repeat(30)}-29`));
        } catch (error) {
          assert.ok(error instanceof NixmakerError && error.code === 'manifest-malformed', String(error));
          return;
        }
        const paths = Array.from({ length: index.length }, (_, n) => {
          const line = index.line(n);
          return { ...line, references: line.references.map((r) => index.path(r)) };
        });
        const again = encodeIndex(paths, index.path(index.length - 1));
        assert.equal(again.text, changed.toString('utf8'));
      },
    ),
    { numRuns: 500 },
  );
});

test('a line longer than what is read at a time is read', () => {
  const paths = Array.from({ length: 60_000 }, (_, n) => indexedPath(n));
  const top = indexedPath(60_000, [], { references: paths.map((p) => p.path) });
  const { text } = encodeIndex([...paths, top], top.path);
  assert.ok((text.trimEnd().split('\n').at(-1)?.length ?? 0) > 300_000);
  assert.equal(read(text, top.path).references(60_000).length, 60_000);
});

test('200,000 lines are read, one more is refused, and so is one byte more than may be read', () => {
  const most = largeClosure(limits.lines, { nameLength: 1, references: 2 });
  const last = most.at(-1)?.path as StorePath;
  const { text } = encodeIndex(most, last);
  assert.equal(read(text, last).length, limits.lines);
  const extra = indexedPath(limits.lines, [], { references: [last] });
  refused(() => encodeIndex([...most, extra], extra.path), 'bundle-too-large', /200001 paths/);
  const more = `${text}${JSON.stringify([extra.path.slice(11), extra.narHash, 1, 1, 1, [limits.lines - 1], ''])}\n`;
  refused(() => read(more, extra.path), 'manifest-malformed', /more than 200000 lines/);
  refused(
    () => ReleaseIndex.parse(new Uint8Array(limits.indexBytes + 1), last),
    'manifest-malformed',
    /the limit is 67108864/,
  );
});

test('a chain as long as an index may be is written and read: nothing here has a stack of its depth', () => {
  const chain = Array.from({ length: limits.lines }, (_, n) => indexedPath(n, n === 0 ? [] : [n - 1]));
  const last = chain.at(-1)?.path as StorePath;
  const index = read(encodeIndex(chain.reverse(), last).text, last);
  assert.equal(index.length, limits.lines);
  assert.deepEqual([...index.references(limits.lines - 1)], [limits.lines - 2]);
});

test('what a line is to Nix: full paths, sorted, and a content address only where there is one', () => {
  const ca = `fixed:r:sha256:${digits(1, 52)}`;
  // Of line numbers the order is that of depth; Nix signs the order of names.
  const index = indexOf([indexedPath(8), indexedPath(3, [8]), indexedPath(9, [3, 8, 9], { ca })]);
  assert.deepEqual(
    index.paths(),
    [8, 3, 9].map((n) => storePathOf(n)),
  );
  assert.deepEqual([...index.references(2)], [0, 1, 2]);
  const { narHash, narSize } = indexedPath(9);
  assert.deepEqual(index.info(2), {
    path: storePathOf(9),
    narHash: `sha256:${narHash}`,
    narSize,
    references: [3, 8, 9].map((n) => storePathOf(n)),
    ca,
  });
  assert.ok(!('ca' in index.info(0)));
  assert.deepEqual(
    [0, 1, 2].map((line) => index.isContentAddressed(line)),
    [false, false, true],
  );
});

test('whether a line is content-addressed is told from its last bytes, whatever the line holds', () => {
  const cas = fc.constantFrom('', `text:sha256:${digits(1, 52)}`, `fixed:sha1:${digits(1, 32)}`);
  fc.assert(
    fc.property(fc.array(cas, { minLength: 1, maxLength: 20 }), (all) => {
      const paths = all.map((ca, n) => indexedPath(n, [], { ca }));
      const index = indexOf([
        ...paths,
        indexedPath(
          100,
          all.map((_, n) => n),
        ),
      ]);
      for (let n = 0; n < index.length; n++) {
        assert.equal(index.isContentAddressed(n), index.line(n).ca !== '');
        assert.equal(index.path(n), index.line(n).path);
      }
    }),
  );
});

test('sums beyond 2^53 are refused', () => {
  const huge = { narSize: Number.MAX_SAFE_INTEGER };
  const { text } = encodeIndex([indexedPath(1, [], huge), indexedPath(2, [1], huge)], storePathOf(2));
  refused(() => read(text, storePathOf(2)), 'manifest-malformed', /exceed 2\^53/);
});
