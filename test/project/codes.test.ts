/**
 * Every code of the catalogue is asserted by a test, and with its detail: a code alone does not tell whether it came for the reason that is
 * meant. What counts, in what `npm test` runs:
 *
 * - the code as a string, with a regular expression or a `detail` of an object beside it or around it, in the same arguments, row of a table,
 *   or object: `refused(…, 'expired', /since/)`, `{ code: 'expired', detail: /since/ }`;
 * - the code as a string in an assertion that is about a `.detail` as well, or is followed by one that is;
 * - a regular expression that goes on after the code, or ends with it as the command line does: `/expired: .*since/`, `/since.*\(expired\)/`.
 *
 * What says that something is *not* so does not count, nor what is only filtered by, waited for or written.
 */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { catalogue } from '../../src/core/catalogue.ts';
import { childrenOf, isNode, type Node, parseSource, walk } from '../../tools/syntax/parse.ts';

const tests = new URL('..', import.meta.url).pathname;
const codes = Object.keys(catalogue);

/** Folders with helpers, with what `npm test` does not run, and with tests of the project itself. */
const others = /^(?:support|machines|fuzz|vm|nixos\/nixpkgs|project)\//;

/** Codes that no test asserts, each with the reason why none can. */
const exceptions: Readonly<Record<string, string>> = {};

const holders = new Set([
  'ArrayExpression',
  'ObjectExpression',
  'Property',
  'CallExpression',
  'NewExpression',
]);

/** As it is in a log or an error, and as `explain` in src/report/tables.ts prints it. */
const saysWith = codes.map((code) => ({
  code,
  says: new RegExp(`(?<![\\w-])${code}: \\S|\\w.*\\\\\\(${code}\\\\\\)`),
}));

const isRegExp = (node: Node): boolean => node.type === 'Literal' && node.regex !== undefined;
const isNamed = (node: unknown, name: RegExp): boolean => isNode(node) && name.test(String(node.name));

/** A call of `assert.…`, but for those that say what is not so. */
const isAssertion = (node: Node): boolean =>
  node.type === 'CallExpression' &&
  isNode(node.callee) &&
  isNamed(node.callee.object, /^assert$/) &&
  !isNamed(node.callee.property, /^(?:doesNot|not)/);

const isDenial = (node: Node): boolean =>
  node.type === 'CallExpression' && isNode(node.callee) && isNamed(node.callee.property, /^(?:doesNot|not)/);

/** What is looked at is a `.detail`; what is only said where an assertion fails is not among it. */
function isAboutDetail(node: Node): boolean {
  const looked = isAssertion(node) ? childrenOf(node)[1] : undefined;
  let found = false;
  if (looked !== undefined)
    walk(looked, (n) => {
      found ||= n.type === 'MemberExpression' && isNamed(n.property, /^detail$/);
    });
  return found;
}

/** Says what the detail is: a regular expression, or a field of that name, which outside of an assertion is not just handed on. */
function saysDetail(node: Node, isAsserted: boolean): boolean {
  if (node.type !== 'Property') return isRegExp(node);
  const { key, value } = node;
  if (!isNamed(key, /^detail$/) || !isNode(value)) return false;
  return isAsserted || isRegExp(value) || value.type === 'Literal' || value.type === 'TemplateLiteral';
}

/** @param way the nodes around a string, the nearest last */
function isWithDetail(way: readonly Node[]): boolean {
  const around = way.slice(way.findLastIndex((node) => !holders.has(node.type)) + 1);
  const isAsserted = around.some(isAssertion);
  const says = (node: Node) => saysDetail(node, isAsserted);
  if (around.some((holder) => childrenOf(holder).some(says) || isAboutDetail(holder))) return true;
  const at = way.findLastIndex((node) => node.type === 'ExpressionStatement');
  const [block, statement] = [way[at - 1], way[at]];
  if (block === undefined || statement === undefined || !childrenOf(statement).some(isAssertion))
    return false;
  const after = childrenOf(block)[childrenOf(block).indexOf(statement) + 1];
  return after !== undefined && childrenOf(after).some(isAboutDetail);
}

function codesIn(text: string): string[] {
  const found: string[] = [];
  walk(parseSource(text).tree, (node, way) => {
    if (node.type !== 'Literal') return;
    const { regex, value } = node;
    const said =
      regex !== undefined
        ? saysWith.filter(({ says }) => says.test((regex as { pattern: string }).pattern))
        : saysWith.filter(({ code }) => code === value && isWithDetail(way));
    if (said.length > 0 && !way.some(isDenial)) found.push(...said.map(({ code }) => code));
  });
  return found;
}

test('every code is asserted by a test, with its detail', () => {
  const found = new Set(
    readdirSync(tests, { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts') && !others.test(name))
      .map((name) => readFileSync(join(tests, name), 'utf8'))
      .filter((text) => codes.some((code) => text.includes(code)))
      .flatMap(codesIn),
  );
  const without = codes.filter((code) => !found.has(code) && !(code in exceptions));
  assert.deepEqual(without.join(' '), '', 'a test that asserts each, and what its detail says');
  const needless = Object.keys(exceptions).filter((code) => found.has(code) || !codes.includes(code));
  assert.deepEqual(needless, [], 'asserted after all, or no code');
});

test('a code that is only mentioned, denied, or asserted without its detail would be found', () => {
  for (const text of [
    "assert.equal(receipt.code, 'expired');",
    "assert.deepEqual([receipt.state, receipt.code], ['refused', 'expired'], receipt.detail);",
    "await agent.waitFor((l) => l.code === 'expired');",
    'assert.doesNotMatch(said, /expired: x/);',
    "assert.notEqual(receipt.code, 'expired'); assert.match(receipt.detail, /x/);",
    "for (const [what, code] of [['late', 'expired'], ['early', 'x', /y/]]) ;",
    "write({ code: 'expired', detail });",
    "const code = 'expired'; assert.match(receipt.detail, /x/);",
    'assert.match(said, /unexpired: x/);',
    'assert.match(said, /expired/);',
    'assert.match(said, /\\(expired\\)/);',
  ])
    assert.deepEqual(codesIn(text), [], text);
  for (const text of [
    "refused(() => judge(), 'expired', /since/);",
    "assert.rejects(judging, { code: 'expired', detail: /since/ });",
    "for (const [what, code] of [['late', 'expired', /since/]]) ;",
    "const cases = { late: { outcome: ['refused', 'expired'], detail: /since/ } };",
    "assert.deepEqual([receipt.code, receipt.detail], ['expired', 'since']);",
    "assert.equal(receipt.code, 'expired'); assert.match(receipt.detail ?? '', /since/);",
    'assert.match(said, /expired: .*since/);',
    'assert.match(said, /since.*\\(expired\\)/s);',
    "await assert.rejects(judging, { code: 'expired', detail });",
  ])
    assert.deepEqual(codesIn(text), ['expired'], text);
});
