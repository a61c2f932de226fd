import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NixmakerError } from '../../../src/core/errors.ts';
import { limits } from '../../../src/core/limits.ts';
import {
  encodeContents,
  namesInContents,
  type Piece,
  parseContents,
  pieceName,
} from '../../../src/core/release/contents-file.ts';
import { ReleaseIndex } from '../../../src/core/release/index-file.ts';
import { encodeIndex } from '../../../src/core/release/write-index.ts';
import { digits, indexedPath, storePathOf } from '../../support/releases.ts';

const manifestDigest = 'c'.repeat(64);
const { text } = encodeIndex(
  [indexedPath(9, [5, 9]), indexedPath(5, [2, 1]), indexedPath(2), indexedPath(1)],
  storePathOf(9),
);
const index = ReleaseIndex.parse(Buffer.from(text), storePathOf(9));
const slack = 1024 * 1024;

const whole = (line: number, size = 50, digest = digits(line, 52)): Piece => ({
  kind: 'whole',
  line,
  size,
  digest,
});
const delta = (line: number, size = 20): Piece => ({
  kind: 'delta',
  line,
  size,
  digest: digits(100 + line, 52),
  base: storePathOf(77),
  baseNarHash: digits(77, 52),
});

const read = (contents: string | Buffer) => parseContents(Buffer.from(contents), { manifestDigest, index });
const good = encodeContents(manifestDigest, [whole(0), delta(2), whole(2), whole(3)]);

test('what is written is read back, by line, the first of several first; a line not mentioned has none', () => {
  const pieces = read(good);
  assert.deepEqual([...pieces.keys()], [0, 2, 3]);
  assert.deepEqual(pieces.get(2), [delta(2), whole(2)]);
  assert.equal(pieces.get(1), undefined);
});

test('names are spread over folders, for FAT32 holds some ten thousand of them in one', () => {
  assert.equal(pieceName(whole(0)), `nar/00/${digits(0, 52)}.nar.zst`);
  assert.equal(pieceName(delta(0)), `delta/00/${digits(100, 52)}.zst`);
});

test('nothing but the first line: the target is thought to have it all', () => {
  assert.equal(read(encodeContents(manifestDigest, [])).size, 0);
});

test('a size may be that of the NAR and a mebibyte, and not a byte more', () => {
  const most = index.narSize(0) + slack;
  assert.equal(read(encodeContents(manifestDigest, [whole(0, most)])).get(0)?.[0]?.size, most);
  assert.throws(() => read(encodeContents(manifestDigest, [whole(0, most + 1)])), /its size is invalid/);
});

const line = (fields: readonly unknown[]) => `"${manifestDigest}"\n${JSON.stringify(fields)}\n`;
for (const [what, contents, detail] of [
  ['nothing', '', /empty/],
  ['no first line', good.slice(good.indexOf('\n') + 1), /another manifest/],
  ['another manifest’s first line', good.replace('ccc', 'ccd'), /another manifest/],
  ['no newline at the end', good.trimEnd(), /newline/],
  ['white space', good.replace('[0,', '[0, '), /canonical/],
  [
    'lines out of order',
    encodeContents(manifestDigest, [whole(2), whole(0)]),
    /^contents: line 3: it is out of order$/,
  ],
  [
    'a line that the index has not',
    encodeContents(manifestDigest, [whole(4)]),
    /line 2: the index has no such line/,
  ],
  ['a negative line', line([-1, 'whole', 5, digits(1, 52)]), /no such line/],
  ['a fraction for a line', line([0.5, 'whole', 5, digits(1, 52)]), /no such line/],
  ['an unknown kind', line([0, 'half', 5, digits(1, 52)]), /its kind is unknown/],
  ['a field more', line([0, 'whole', 5, digits(1, 52), 1]), /wrong fields/],
  ['a delta without a base', line([0, 'delta', 5, digits(1, 52)]), /wrong fields/],
  ['an empty file', line([0, 'whole', 0, digits(1, 52)]), /its size is invalid/],
  ['a digest that is none', line([0, 'whole', 5, digits(1, 51)]), /its digest is invalid/],
  [
    'a base that leads out',
    line([0, 'delta', 5, digits(1, 52), '../x', digits(1, 52)]),
    /its base is not a store path/,
  ],
  [
    'a base’s hash that is none',
    line([0, 'delta', 5, digits(1, 52), storePathOf(1).slice(11), 'x']),
    /base’s hash/,
  ],
  ['an object', `"${manifestDigest}"\n{}\n`, /wrong fields/],
  [
    'seventeen ways to one path',
    encodeContents(
      manifestDigest,
      Array.from({ length: 17 }, () => whole(0)),
    ),
    /^contents: line 18: more than 16 pieces for one path$/,
  ],
] as const)
  test(`contents with ${what} are refused`, () => {
    assert.throws(
      () => read(contents),
      (error: unknown) =>
        error instanceof NixmakerError && error.code === 'bundle-malformed' && detail.test(error.detail),
    );
  });

test('sixteen ways to one path are read', () => {
  assert.equal(
    read(
      encodeContents(
        manifestDigest,
        Array.from({ length: 16 }, () => whole(0)),
      ),
    ).get(0)?.length,
    16,
  );
});

test('contents may have twice as many lines as an index, and not one more', () => {
  const one = `${JSON.stringify([0, 'whole', 1, digits(1, 52)])}\n`;
  const bytes = Buffer.from(`${JSON.stringify(manifestDigest)}\n${one.repeat(2 * limits.lines)}`);
  assert.throws(() => namesInContents(bytes), { detail: 'contents: it has more than 400000 lines' });
});

test('no bytes make the reader do anything but read or refuse', () => {
  const bytes = Buffer.from(good);
  const change = fc.tuple(fc.nat(bytes.length - 1), fc.nat(255));
  fc.assert(
    fc.property(fc.array(change, { minLength: 1, maxLength: 4 }), fc.nat(bytes.length), (changes, end) => {
      const changed = Buffer.from(bytes.subarray(0, end));
      for (const [at, value] of changes) if (at < end) changed[at] = value;
      try {
        const pieces = [...read(changed).values()].flat();
        assert.equal(encodeContents(manifestDigest, pieces), changed.toString('utf8'));
      } catch (error) {
        assert.ok(error instanceof NixmakerError && error.code === 'bundle-malformed', String(error));
      }
    }),
    { numRuns: 500 },
  );
});
