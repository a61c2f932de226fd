/**
 * JSON changed as JSON: a value, a key, a number at its end, a key given twice, nesting, another spelling of the same. What comes out
 * is text that parses, mostly, so that a reader is met behind its parser.
 */
import { byteMutation, type Mutation, pick, type Random } from './bytes.ts';

/** JSON that keeps what JSON.parse throws away: the order of keys, keys given twice, how a thing is spelt. */
type Node =
  | { readonly spelt: string }
  | { readonly list: readonly Node[] }
  | { readonly pairs: readonly Pair[] };
type Pair = readonly [key: string, value: Node];

/** @throws RangeError for what is too deep to be changed as a tree */
function nodeOf(value: unknown, depth = 0): Node {
  if (depth > 300) throw new RangeError('too deep');
  if (Array.isArray(value)) return { list: value.map((v) => nodeOf(v, depth + 1)) };
  if (typeof value === 'object' && value !== null)
    return {
      pairs: Object.entries(value).map(([k, v]) => [JSON.stringify(k), nodeOf(v, depth + 1)] as const),
    };
  return { spelt: JSON.stringify(value) };
}

function write(node: Node): string {
  if ('spelt' in node) return node.spelt;
  if ('list' in node) return `[${node.list.map(write).join(',')}]`;
  return `{${node.pairs.map(([key, value]) => `${key}:${write(value)}`).join(',')}}`;
}

const values = [
  ...['null', 'true', 'false', '""', '[]', '{}', '0', '-0', '-1', '1', '2', '0.5', '1e3', '1E400', '-1e400'],
  ...[
    '2147483647',
    '2147483648',
    '4294967296',
    '9007199254740991',
    '9007199254740992',
    '18446744073709551616',
  ],
  ...['"\\u0000"', '"\\ud800"', '"\\u202e"', '"\u00e9"', '"../../etc"', '"/"', '"a\\nb"', '"\\u0041"', '1.0'],
  ...[
    '"1970-01-01T00:00:00Z"',
    '"2099-12-31T23:59:60Z"',
    '"+275760-09-13T00:00:00Z"',
    '"2026-02-30T00:00:00Z"',
  ],
];
const keys = ['"__proto__"', '"constructor"', '"toString"', '""', '"schema"', '"\\u0068ost"', '"length"'];

/** A value in the place of another: one of a list, one from elsewhere in it, or itself wrapped, repeated, respelt. */
function change(node: Node, random: Random, all: readonly Node[]): Node {
  const way = random(7);
  if (way < 2) return { spelt: pick(random, values) };
  if (way === 2) return pick(random, all);
  if (way === 3) return { list: Array.from({ length: pick(random, [1, 2, 17, 65, 300]) }, () => node) };
  if (way === 4 && random(8) === 0) return nested(node, pick(random, depths));
  if (way === 4) return { pairs: [[pick(random, keys), node]] };
  if ('spelt' in node) return respell(node.spelt, random);
  if ('list' in node) return { list: changedList(node.list, random) };
  return { pairs: changedPairs(node.pairs, random, all) };
}

/** As text: nothing here goes so deep. */
const nested = (node: Node, depth: number): Node => ({
  spelt: '['.repeat(depth) + write(node) + ']'.repeat(depth),
});

function respell(spelt: string, random: Random): Node {
  if (/^-?\d/.test(spelt))
    return {
      spelt: pick(random, [
        `${spelt}.0`,
        `${spelt}e0`,
        `-${spelt}`,
        `${spelt}0`,
        `"${spelt}"`,
        `${Number(spelt) + 1}`,
      ]),
    };
  const at = 1 + random(Math.max(1, spelt.length - 1));
  const between = pick(random, ['\\u0061', ' ', 'A', '-', '.', '/', ':', '\\n', '0', '=', 'x'.repeat(300)]);
  return { spelt: `${spelt.slice(0, at)}${between}${spelt.slice(at + random(2))}` };
}

function changedList(list: readonly Node[], random: Random): Node[] {
  const at = random(list.length + 1);
  const way = random(3);
  if (way === 0) return list.toSpliced(at, 1);
  if (way === 1) return list.toReversed();
  return list.toSpliced(at, 0, list[random(list.length)] ?? { spelt: 'null' });
}

/** A pair left out, given twice, moved, or under another name. */
function changedPairs(pairs: readonly Pair[], random: Random, all: readonly Node[]): Pair[] {
  const at = random(pairs.length);
  const pair = pairs[at];
  const way = random(5);
  if (pair === undefined || way === 0) return [...pairs, [pick(random, keys), pick(random, all)]];
  if (way === 1) return pairs.toSpliced(at, 1);
  if (way === 2) return pairs.toSpliced(random(pairs.length), 0, [pair[0], pick(random, all)]);
  if (way === 3) return [...pairs.toSpliced(at, 1), pair];
  return pairs.with(at, [pick(random, keys), pair[1]]);
}

function everyNode(node: Node): Node[] {
  if ('spelt' in node) return [node];
  const inner = 'list' in node ? node.list : node.pairs.map(([, value]) => value);
  return [node, ...inner.flatMap(everyNode)];
}

/** The tree with one node of it in another form. */
function replace(node: Node, old: Node, by: Node): Node {
  if (node === old) return by;
  if ('spelt' in node) return node;
  if ('list' in node) return { list: node.list.map((n) => replace(n, old, by)) };
  return { pairs: node.pairs.map(([key, value]) => [key, replace(value, old, by)] as const) };
}

/** Deeper than a call stack is, and than most is. */
const depths = [100, 5000, 100_000];

/** Text around it: nothing of this is part of a value. */
function around(text: string, random: Random): string {
  const way = random(24);
  if (way === 0) return ` ${text}`;
  if (way === 1) return text.replace(',', ', ');
  const depth = pick(random, depths);
  if (way === 2) return '['.repeat(depth) + text;
  if (way === 3) return `${'['.repeat(depth)}${text}${']'.repeat(depth)}`;
  if (way === 4) return `\ufeff${text}`;
  return text;
}

const asBytes = byteMutation([
  '"',
  ',',
  ':',
  '{',
  '}',
  '[',
  ']',
  '\\',
  '\\u0000',
  '\n',
  '\xff',
  '\xc3\xa9',
  '1e999',
]);

/** One line of JSON; bytes where it is none. The newline at its end stays, mostly. */
export const jsonMutation: Mutation = (bytes, random, others) => {
  const text = bytes.toString('utf8');
  let node: Node;
  try {
    node = nodeOf(JSON.parse(text));
  } catch {
    return asBytes(bytes, random, others);
  }
  if (random(6) === 0) return asBytes(bytes, random, others);
  for (let n = 1 + random(2); n > 0; n--) {
    const all = everyNode(node);
    const old = pick(random, all);
    node = replace(node, old, change(old, random, all));
    if (all.length > 2000) break;
  }
  const end = text.endsWith('\n') && random(10) > 0 ? '\n' : '';
  return Buffer.from(around(write(node), random) + end);
};
