/**
 * Makes functions of the modules that esbuild has split a program into, so that one file holds them all and each is compiled
 * when first needed. esbuild itself splits into modules only, in many files, which Node.js would load slowly and one by one.
 */
import { type Node, type Program, parse } from 'acorn';

export interface Chunk {
  readonly path: string;
  readonly text: string;
}

interface Edit {
  readonly start: number;
  readonly end: number;
  readonly text: string;
}

/** What acorn’s types leave open. */
interface AnyNode extends Node {
  readonly [key: string]: unknown;
}

const isNode = (value: unknown): value is AnyNode =>
  typeof value === 'object' && value !== null && typeof (value as { type?: unknown }).type === 'string';

function* nodesBelow(node: AnyNode): Generator<AnyNode> {
  yield node;
  for (const value of Object.values(node)) {
    for (const each of Array.isArray(value) ? value : [value]) if (isNode(each)) yield* nodesBelow(each);
  }
}

type From = (specifier: string) => string;
type Statement = Program['body'][number];

/**
 * @returns text of a function that takes `__load`, which returns the exports of the chunk of that number, and what modules of
 * CommonJS have
 * @param numberOf a chunk’s number by the specifier another imports it by; undefined for what is Node.js’ own
 * @throws Error about what a function can’t do as a module does: exports that change after it has run
 */
export function link(chunk: Chunk, numberOf: (specifier: string) => number | undefined): string {
  // A program’s own name would be taken for ours.
  if (/\b__(load|default)\b/.test(chunk.text)) throw new Error(`${chunk.path} has a name of the linker’s`);
  const program = parse(chunk.text, { ecmaVersion: 'latest', sourceType: 'module' });
  refuseChanging(chunk, program);
  const from: From = (specifier) => {
    const number = numberOf(specifier);
    return number === undefined ? `require(${JSON.stringify(specifier)})` : `__load(${number})`;
  };
  const before: string[] = [];
  const exported: string[] = [];
  const edits = program.body.flatMap((statement): Edit[] => {
    const { start, end } = statement;
    refuseUnlisted(chunk, statement);
    if (statement.type === 'ImportDeclaration') before.push(importText(statement, from));
    else if (statement.type === 'ExportNamedDeclaration')
      exported.push(...exportTexts(statement, from, before));
    else if (statement.type === 'ExportDefaultDeclaration') {
      exported.push('"default":__default');
      return [{ start, end: statement.declaration.start, text: 'const __default=' }];
    } else return [];
    return [{ start, end, text: '' }];
  });
  for (const node of nodesBelow(program as unknown as AnyNode)) {
    if (node.type !== 'ImportExpression') continue;
    const specifier = (node.source as AnyNode).value;
    if (typeof specifier !== 'string') throw new Error(`${chunk.path} imports what is not known beforehand`);
    edits.push({ start: node.start, end: node.end, text: `Promise.resolve().then(()=>${from(specifier)})` });
  }
  const body = `${before.join('')}${applied(chunk.text, edits)}`;
  return `(__load,require,__filename,__dirname,__here)=>{"use strict";${body};return{${exported.join(',')}}}`;
}

function importText(statement: Extract<Statement, { type: 'ImportDeclaration' }>, from: From): string {
  const source = from(String(statement.source.value));
  const wholes: string[] = [];
  const members: string[] = [];
  for (const each of statement.specifiers) {
    const local = each.local.name;
    const name =
      each.type === 'ImportNamespaceSpecifier'
        ? undefined
        : each.type === 'ImportDefaultSpecifier'
          ? 'default'
          : nameOf(each.imported);
    // The default export of a module of Node.js’ is what `require` returns.
    if (name === undefined || (name === 'default' && source.startsWith('require'))) wholes.push(local);
    else members.push(`${JSON.stringify(name)}:${local}`);
  }
  if (members.length > 0) wholes.push(`{${members.join(',')}}`);
  return wholes.length === 0 ? `${source};` : `const ${wholes.map((to) => `${to}=${source}`).join(',')};`;
}

/** @param before what runs before the chunk: modules that it only passes on run as well */
function exportTexts(
  { specifiers, source }: Extract<Statement, { type: 'ExportNamedDeclaration' }>,
  from: From,
  before: string[],
): string[] {
  const other = source == null ? undefined : from(String(source.value));
  if (other !== undefined) before.push(`${other};`);
  return specifiers.map(({ local, exported }) => {
    const name = nameOf(local);
    return `${JSON.stringify(nameOf(exported))}:${other === undefined ? name : `${other}[${JSON.stringify(name)}]`}`;
  });
}

const nameOf = (node: { readonly type: string }): string =>
  node.type === 'Literal'
    ? String((node as unknown as { value: unknown }).value)
    : (node as unknown as { name: string }).name;

/** esbuild lists exports by name, apart from what they are. */
function refuseUnlisted({ path }: Chunk, statement: Statement): void {
  const isUnlisted =
    statement.type === 'ExportAllDeclaration' ||
    (statement.type === 'ExportNamedDeclaration' && statement.declaration != null);
  if (isUnlisted) throw new Error(`${path}: ${statement.type} is not expected of esbuild`);
}

/** What is exported is read once, when the function has run. */
function refuseChanging(chunk: Chunk, program: Program): void {
  const exported = new Set(
    program.body.flatMap((statement) =>
      statement.type === 'ExportNamedDeclaration'
        ? statement.specifiers.map(({ local }) => nameOf(local))
        : [],
    ),
  );
  for (const node of nodesBelow(program as unknown as AnyNode)) {
    for (const name of assignedBy(node))
      if (exported.has(name)) throw new Error(`${chunk.path} changes its export ${name}`);
  }
}

/** Names, whatever they are of: a local variable of an export’s name counts as well. */
function assignedBy(node: AnyNode): string[] {
  const target =
    node[
      {
        AssignmentExpression: 'left',
        ForOfStatement: 'left',
        ForInStatement: 'left',
        UpdateExpression: 'argument',
      }[node.type] ?? ''
    ];
  return isNode(target) && target.type !== 'VariableDeclaration' ? namesIn(target) : [];
}

function namesIn(pattern: AnyNode): string[] {
  if (pattern.type === 'Identifier') return [String(pattern.name)];
  if (pattern.type === 'MemberExpression') return [];
  const below = pattern.type === 'Property' ? [pattern.value] : Object.values(pattern).flat();
  return below.filter(isNode).flatMap(namesIn);
}

function applied(text: string, edits: readonly Edit[]): string {
  let result = '';
  let at = 0;
  for (const { start, end, text: instead } of edits.toSorted((a, b) => a.start - b.start)) {
    result += text.slice(at, start) + instead;
    at = end;
  }
  return result + text.slice(at);
}
