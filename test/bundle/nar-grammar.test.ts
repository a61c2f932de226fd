/** What a NAR is, by its grammar (Nix doc/manual/source/protocols/nix-archive.md), read here by a parser of its own. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type NarCount, NarCounter } from '../../src/bundle/nar-count.ts';

const string = (text: string) => {
  const bytes = Buffer.from(text, 'latin1');
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(bytes.length));
  return Buffer.concat([length, bytes, Buffer.alloc(-bytes.length & 7)]);
};

/** Strings of a NAR: of a file’s contents the size comes after the word. */
type Token = string;

class Wrong extends Error {}

/** By recursion, over strings that are whole. @throws Wrong */
function judge(tokens: readonly Token[]): NarCount {
  let at = 0;
  const sum = { files: 0, blocks: 0, expressions: 0 };
  const next = () => tokens[at++] ?? '';
  const must = (text: string) => {
    if (next() !== text) throw new Wrong();
  };
  const node = (name = '') => {
    must('(');
    must('type');
    const kind = next();
    sum.files += 1;
    if (kind === 'regular') regular(name);
    else if (kind === 'symlink') {
      must('target');
      if (at++ >= tokens.length) throw new Wrong();
      must(')');
    } else if (kind === 'directory') directory();
    else throw new Wrong();
  };
  const regular = (name: string) => {
    let word = next();
    if (word === 'executable') {
      must('');
      word = next();
    }
    if (word !== 'contents') throw new Wrong();
    sum.blocks += Math.ceil(next().length / 4096);
    if (name.endsWith('.nix')) sum.expressions += 1;
    must(')');
  };
  const directory = () => {
    sum.blocks += 1;
    let last = '';
    for (let word = next(); word !== ')'; word = next()) {
      if (word !== 'entry') throw new Wrong();
      must('(');
      must('name');
      const name = next();
      if (name <= last || name === '.' || name === '..' || name.includes('/') || name.includes('\0'))
        throw new Wrong();
      last = name;
      must('node');
      node(name);
      must(')');
    }
  };
  must('nix-archive-1');
  node();
  if (at !== tokens.length) throw new Wrong();
  return sum;
}

const names = fc.constantFrom('a', 'b.nix', 'c', 'd.nix', '(', ')', 'node', 'type', 'entry', '\xe4');
const contents = fc.oneof(
  fc.constantFrom('', 'x', '12345678'),
  fc.nat(9000).map((n) => 'x'.repeat(n)),
);
const { node } = fc.letrec<{ node: Token[] }>((tie) => ({
  node: fc.oneof(
    { depthSize: 'small' },
    fc
      .tuple(fc.boolean(), contents)
      .map(([runs, text]) => [
        ...['(', 'type', 'regular'],
        ...(runs ? ['executable', ''] : []),
        ...['contents', text, ')'],
      ]),
    names.map((target) => ['(', 'type', 'symlink', 'target', target, ')']),
    fc
      .array(fc.tuple(names, tie('node')), { maxLength: 4 })
      .map((entries) => [
        ...['(', 'type', 'directory'],
        ...[...new Map(entries)]
          .sort(([a], [b]) => (a < b ? -1 : 1))
          .flatMap(([name, below]) => ['entry', '(', 'name', name, 'node', ...below, ')']),
        ')',
      ]),
  ),
}));

const words = fc.constantFrom(
  ...['nix-archive-1', '(', ')', 'type', 'regular', 'symlink', 'directory', 'executable', 'contents'],
  ...['target', 'entry', 'name', 'node', '', 'a', 'b', '.', '..', 'a/b', 'zzz', '\0'],
);
/** A change of one place: something else, something more, something less, or two the other way round. */
const change = fc.record({
  at: fc.nat(),
  how: fc.constantFrom('replace', 'insert', 'remove', 'swap', 'cut'),
  word: words,
});

function changed(
  tokens: readonly Token[],
  { at, how, word }: { at: number; how: string; word: Token },
): Token[] {
  const i = at % tokens.length;
  const all = [...tokens];
  if (how === 'replace') all[i] = word;
  else if (how === 'insert') all.splice(i, 0, word);
  else if (how === 'remove') all.splice(i, 1);
  else if (how === 'cut') all.length = i;
  else if (i > 0) [all[i - 1], all[i]] = [all[i] as Token, all[i - 1] as Token];
  return all;
}

/** Cut at any place, so that every string is met whole and in parts. */
function counted(nar: Buffer, portion: number): ReturnType<typeof judge> | 'none' {
  const counter = new NarCounter();
  for (let at = 0; at < nar.length; at += portion) counter.feed(nar.subarray(at, at + portion));
  try {
    return counter.end();
  } catch {
    return 'none';
  }
}

function judged(tokens: readonly Token[]): ReturnType<typeof judge> | 'none' {
  try {
    return judge(tokens);
  } catch (error) {
    if (error instanceof Wrong) return 'none';
    throw error;
  }
}

test('what the grammar allows is counted, and with anything changed it is what the grammar says of it', () => {
  fc.assert(
    fc.property(
      node,
      fc.array(change, { maxLength: 2 }),
      fc.integer({ min: 1, max: 300 }),
      (tree, changes, portion) => {
        const tokens = changes.reduce(
          (all, one) => (all.length === 0 ? all : changed(all, one)),
          ['nix-archive-1', ...tree],
        );
        assert.deepEqual(counted(Buffer.concat(tokens.map(string)), portion), judged(tokens));
      },
    ),
    { numRuns: 1500 },
  );
});

const root = ['nix-archive-1'];
for (const [what, tokens] of [
  [
    'a word that is none after the type',
    ['(', 'type', 'regular', 'zzz', 'node', '(', 'type', 'symlink', 'target', 'x', ')', ')'],
  ],
  [
    'a name where an entry begins',
    ['(', 'type', 'directory', 'zzz', 'node', '(', 'type', 'symlink', 'target', 'x', ')', ')', ')'],
  ],
  ['a target where its word should be', ['(', 'type', 'symlink', 'x', ')']],
  [
    'a file that may be run twice',
    ['(', 'type', 'regular', 'executable', '', 'executable', '', 'contents', '', ')'],
  ],
  ['a folder’s end in a file', ['(', 'type', 'regular', ')']],
  ['an unknown kind', ['(', 'type', 'socket', ')']],
] as const)
  test(`with ${what} it is none`, () => {
    const nar = Buffer.concat([...root, ...tokens].map(string));
    for (const portion of [nar.length, 3]) assert.equal(counted(nar, portion), 'none');
  });

test('of what does not belong there the first forty characters are told', () => {
  const counter = new NarCounter();
  counter.feed(Buffer.concat([...root, '(', 'type', `${'x'.repeat(39)}yz`].map(string)));
  assert.throws(() => counter.end(), {
    detail: `it is not a NAR: “${'x'.repeat(39)}y” is not allowed after kind`,
  });
});

/** Folders within folders, so many. */
function nested(depth: number): Buffer {
  const into = Array.from({ length: depth - 1 }, () => [
    '(',
    'type',
    'directory',
    'entry',
    '(',
    'name',
    'a',
    'node',
  ]);
  const out = Array.from({ length: depth - 1 }, () => [')', ')']);
  return Buffer.concat([...root, ...into.flat(), '(', 'type', 'directory', ')', ...out.flat()].map(string));
}

test('folders may lie in one another as deep as a path can be long, and no deeper', () => {
  assert.deepEqual(counted(nested(2048), 5000), { files: 2048, blocks: 2048, expressions: 0 });
  assert.equal(counted(nested(2049), 5000), 'none');
});

test('a name or a target may be as long as a path can be, and no longer', () => {
  const link = (target: string) =>
    Buffer.concat([...root, '(', 'type', 'symlink', 'target', target, ')'].map(string));
  for (const portion of [1, 4000, 4096, 5000, 10_000]) {
    assert.deepEqual(counted(link('x'.repeat(4096)), portion), { files: 1, blocks: 0, expressions: 0 });
    assert.equal(counted(link('x'.repeat(4097)), portion), 'none');
  }
});

test('a size in the upper half of its eight bytes is a size', () => {
  const head = Buffer.concat([...root, '(', 'type', 'regular', 'contents'].map(string));
  const sized = (size: bigint) => {
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(size);
    const counter = new NarCounter();
    counter.feed(Buffer.concat([head, length, Buffer.alloc(100)]));
    try {
      counter.end();
    } catch (error) {
      return String(error);
    }
    return '';
  };
  assert.match(sized(2n ** 33n), /it ends too early/);
  assert.match(sized(2n ** 53n - 1n), /it ends too early/);
  assert.match(sized(2n ** 53n), /a file that is too large/);
});
