/** Lines of an index and of contents, field by field: each of another type or just beyond its bound, and nothing but a refusal. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../../src/core/limits.ts';
import {
  encodeContents,
  mostContentsBytes,
  namesInContents,
  parseContents,
} from '../../../src/core/release/contents-file.ts';
import { ReleaseIndex } from '../../../src/core/release/index-file.ts';
import { readLines } from '../../../src/core/release/lines.ts';
import { encodeIndex } from '../../../src/core/release/write-index.ts';
import { refusal } from '../../support/refusal.ts';
import { digits, indexedPath, storePathOf } from '../../support/releases.ts';

const root = storePathOf(9);
const { text } = encodeIndex([indexedPath(9, [5, 9]), indexedPath(5)], root);
const [first = '', second = ''] = text.trimEnd().split('\n');
const fields = JSON.parse(first) as unknown[];
const name = String(fields[0]);

/** The first line with another value in one of its fields. */
const spoilt = (field: number, value: unknown) => {
  const line = JSON.stringify(fields.map((f, i) => (i === field ? value : f)));
  return refusal(() => ReleaseIndex.parse(Buffer.from(`${line}\n${second}\n`), root));
};

/** Of another type, also such as spell the right text when they are made one. */
const othersOf = (value: unknown) => [null, true, 7.5, {}, [], [value], [[value]], { toString: 1 }];

for (const [field, what] of [
  [0, 'it does not name a store path'],
  [1, 'its hash is not a sha256 in base 32'],
  [2, 'its sizes are invalid'],
  [3, 'its sizes are invalid'],
  [4, 'its sizes are invalid'],
  [6, 'its content address is invalid'],
] as const)
  test(`an index’s line whose field ${field} is of another type is refused for that`, () => {
    const right = field === 6 ? `text:sha256:${digits(1, 52)}` : fields[field];
    assert.equal(spoilt(field, right), undefined);
    for (const value of othersOf(right))
      assert.equal(spoilt(field, value), `manifest-malformed: index: line 1: ${what}`, JSON.stringify(value));
  });

test('references of another type are refused for that, and numbers of lines that are none', () => {
  for (const value of [null, true, 7, {}, 'x', { length: 0 }])
    assert.equal(spoilt(5, value), 'manifest-malformed: index: line 1: it has no list of references');
  const not = 'manifest-malformed: index: line 1: its references are not ascending numbers of earlier lines';
  for (const value of [[null], ['0'], [-1], [0.5], [1], [[0]], [0, 0], [{}]])
    assert.equal(spoilt(5, value), not, JSON.stringify(value));
  // Itself it may refer to.
  assert.equal(spoilt(5, [0]), undefined);
});

test('sizes may be as small as a path is, and as large as a number can be told from its neighbours', () => {
  for (const [field, least] of [
    [2, 0],
    [3, 1],
    [4, 0],
  ] as const) {
    assert.equal(spoilt(field, least), undefined);
    assert.match(spoilt(field, least - 1) ?? '', /its sizes are invalid/);
    assert.match(spoilt(field, 2 ** 53) ?? '', /its sizes are invalid|canonical/);
  }
});

test('a line that is no list of seven is refused for that', () => {
  const other = 'manifest-malformed: index: line 1: it has the wrong fields';
  for (const line of [fields.slice(1), [...fields, ''], {}, null, 'x', 7])
    assert.equal(
      refusal(() => ReleaseIndex.parse(Buffer.from(`${JSON.stringify(line)}\n${second}\n`), root)),
      other,
    );
});

test('two paths with the same hash and other names can’t both be in an index', () => {
  const other = JSON.stringify([`${name.slice(0, 32)}-zz`, ...fields.slice(1)]);
  const top = JSON.parse(second) as unknown[];
  const both = `${first}\n${other}\n${JSON.stringify(top.map((f, i) => (i === 5 ? [0, 1, 2] : f)))}\n`;
  assert.equal(
    refusal(() => ReleaseIndex.parse(Buffer.from(both), root)),
    'manifest-malformed: index: line 2: another line has the same path or hash part',
  );
});

test('of the same depth lines are in the order of their names; deeper ones come later whatever they are called', () => {
  const line = (n: number, references: readonly number[]) =>
    JSON.stringify([storePathOf(n).slice('/nix/store/'.length), digits(n, 52), 1, 1, 1, references, '']);
  const read = (...lines: readonly string[]) =>
    refusal(() => ReleaseIndex.parse(Buffer.from(`${lines.join('\n')}\n`), root));
  // 8 is at depth 1, before 2 at depth 2 by depth alone.
  assert.equal(read(line(5, []), line(8, [0]), line(2, [1]), line(9, [2])), undefined);
  assert.match(read(line(8, []), line(5, []), line(9, [0, 1])) ?? '', /line 2: it is out of order/);
  assert.match(
    read(line(5, []), line(8, [0]), line(6, []), line(9, [1, 2])) ?? '',
    /line 3: it is out of order/,
  );
  // Its depth is that of the deepest that it refers to, and one more, in whatever order those stand.
  assert.equal(read(line(5, []), line(6, []), line(8, [0]), line(7, [1, 2]), line(9, [3])), undefined);
});

test('room for references grows with them', () => {
  const paths = Array.from({ length: 700 }, (_, n) => indexedPath(n));
  const layer = [701, 702, 703].map((n) =>
    indexedPath(
      n,
      paths.map((_, i) => i),
    ),
  );
  const top = indexedPath(800, [701, 702, 703]);
  const { text: large } = encodeIndex([...paths, ...layer, top], top.path);
  const index = ReleaseIndex.parse(Buffer.from(large), top.path);
  for (const line of [700, 701, 702]) assert.equal(index.references(line).length, 700);
  assert.deepEqual([...index.references(703)], [700, 701, 702]);
  assert.deepEqual([...index.references(702)].slice(-2), [698, 699]);
});

function lines(bytes: Buffer, more: { from?: number; most?: number } = {}): readonly unknown[] {
  const found: unknown[] = [];
  readLines({ bytes, code: 'bundle-malformed', name: 'x', most: 100, ...more }, (value, line, start) =>
    found.push([value, line, start]),
  );
  return found;
}

test('each line comes with its number and its place, from wherever reading begins', () => {
  const bytes = Buffer.from('1\n"ab"\n[]\n');
  assert.deepEqual(lines(bytes), [
    [1, 0, 0],
    ['ab', 1, 2],
    [[], 2, 7],
  ]);
  assert.deepEqual(lines(bytes, { from: 2 }), [
    ['ab', 0, 2],
    [[], 1, 7],
  ]);
  assert.deepEqual(lines(bytes, { from: bytes.length }), []);
  assert.equal(lines(bytes, { most: 3 }).length, 3);
  assert.match(refusal(() => lines(bytes, { most: 2 })) ?? '', /more than 2 lines/);
});

test('lines are read in portions, and keep their numbers and places across them', () => {
  const one = JSON.stringify('y'.repeat(100_000));
  const all = Array.from({ length: 7 }, () => one);
  const bytes = Buffer.from(`${all.join('\n')}\n`);
  assert.deepEqual(
    lines(bytes),
    all.map((_, n) => ['y'.repeat(100_000), n, n * (one.length + 1)]),
  );
  // A line that fills a portion to its last byte, with its newline, and one byte more.
  for (const length of [256 * 1024 - 3, 256 * 1024 - 2, 256 * 1024 - 1]) {
    const text = JSON.stringify('y'.repeat(length));
    assert.equal(lines(Buffer.from(`${text}\n"z"\n`)).length, 2, String(length));
  }
  const bad = [...all.slice(0, 4), '{', ...all.slice(4)];
  assert.equal(
    refusal(() => lines(Buffer.from(`${bad.join('\n')}\n`))),
    'bundle-malformed: x: line 5 is not in canonical form',
  );
});

test('what is not ASCII is refused where nobody else refuses it, also at the end', () => {
  assert.equal(
    refusal(() => lines(Buffer.from('1\n"ä"\n'))),
    'bundle-malformed: x: line 2: it contains non-ASCII characters',
  );
  assert.equal(
    refusal(() => lines(Buffer.from([0x31, 0x0a, 0x22, 0xff, 0x22, 0x0a]))),
    'bundle-malformed: x: it is not UTF-8 text',
  );
  for (const bytes of ['1', '1\n2'])
    assert.equal(
      refusal(() => lines(Buffer.from(bytes))),
      'bundle-malformed: x: it does not end with a newline',
    );
});

test('of a long line two lists are read, and not three, however they stand', () => {
  const long = 'y'.repeat(300_000);
  const said = (value: unknown) => refusal(() => lines(Buffer.from(`${JSON.stringify(value)}\n`)));
  for (const value of [long, [long], [[long]], [long, []], [[], long]]) assert.equal(said(value), undefined);
  for (const value of [
    [[[long]]],
    [[[0]], long],
    [[], [], long],
    [long, [], []],
    [[], long, []],
    { a: long },
  ])
    assert.equal(
      said(value),
      'bundle-malformed: x: line 1 is not in canonical form',
      JSON.stringify(value).slice(0, 20),
    );
});

const index = ReleaseIndex.parse(Buffer.from(text), root);
const manifestDigest = 'c'.repeat(64);
const contents = (value: unknown) => Buffer.from(`"${manifestDigest}"\n${JSON.stringify(value)}\n`);
const base = storePathOf(77).slice('/nix/store/'.length);
const whole = [0, 'whole', 50, digits(1, 52)];
const delta = [0, 'delta', 50, digits(1, 52), base, digits(2, 52)];

for (const [what, good] of [
  ['whole', whole],
  ['delta', delta],
] as const)
  test(`a ${what} piece whose fields are of another type is refused, each for itself`, () => {
    const read = (value: unknown) => refusal(() => parseContents(contents(value), { manifestDigest, index }));
    assert.equal(read(good), undefined);
    const said = [
      'the index has no such line',
      what === 'whole' ? 'its kind is unknown' : 'it has the wrong fields',
      'its size is invalid',
      'its digest is invalid',
      'its base is not a store path',
      'its base’s hash is invalid',
    ];
    for (const [field, right] of good.entries())
      for (const value of othersOf(right)) {
        const line = good.map((f, i) => (i === field ? value : f));
        assert.equal(read(line), `bundle-malformed: contents: line 2: ${said[field]}`, JSON.stringify(line));
      }
    for (const line of [good.slice(1), [...good, 0], {}, null])
      assert.equal(read(line), 'bundle-malformed: contents: line 2: it has the wrong fields');
  });

test('names of pieces are had without the index, and nothing that is none', () => {
  const names = (...values: readonly unknown[]) =>
    namesInContents(Buffer.from(values.map((v) => `${JSON.stringify(v)}\n`).join('')));
  const digest = digits(1, 52);
  assert.deepEqual(
    [...names(manifestDigest, whole, delta)],
    [`nar/${digest.slice(0, 2)}/${digest}.nar.zst`, `delta/${digest.slice(0, 2)}/${digest}.zst`],
  );
  assert.equal(names(manifestDigest).size, 0);
  const none = 'bundle-malformed: contents: line 2: it does not name a piece';
  for (const value of [
    {},
    'x',
    null,
    [],
    [0, 'half', 5, digest],
    [0, 'whole', 5],
    [0, 'whole', 5, [digest]],
    [0, ['whole'], 5, digest],
    [0, 'whole', 5, '../x'],
  ])
    assert.equal(
      refusal(() => names(manifestDigest, value)),
      none,
      JSON.stringify(value),
    );
  const headless = 'bundle-malformed: contents: it does not begin with a manifest digest';
  for (const value of [7, null, []])
    assert.equal(
      refusal(() => names(value)),
      headless,
    );
  assert.equal(
    refusal(() => namesInContents(Buffer.alloc(0))),
    headless,
  );
  assert.match(
    refusal(() => namesInContents(new Uint8Array(limits.contentsBytes + 1))) ?? '',
    /it has 67108865 bytes; the limit is 67108864/,
  );
});

test('contents may be as long as the index has lines for them, and no longer', () => {
  assert.equal(mostContentsBytes({ length: 0 }), limits.contentsLineBytes);
  assert.equal(mostContentsBytes({ length: 3 }), limits.contentsLineBytes * (1 + 3 * 16));
  assert.equal(mostContentsBytes({ length: 200_000 }), limits.contentsBytes);
  const most = mostContentsBytes(index);
  const padded = (length: number) =>
    refusal(() => parseContents(Buffer.alloc(length, 0x20), { manifestDigest, index })) ?? '';
  assert.match(
    padded(most + 1),
    new RegExp(`^bundle-malformed: contents: it has ${most + 1} bytes; the limit is ${most}$`),
  );
  assert.doesNotMatch(padded(most), /the limit is/);
  assert.equal(encodeContents(manifestDigest, []), `"${manifestDigest}"\n`);
});
