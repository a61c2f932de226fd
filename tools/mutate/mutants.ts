/** Small changes of the kind a slip makes, each of which some test ought to notice. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { isNode, type Node, parseSource, walk } from '../syntax/parse.ts';

export type Kind = 'check dropped' | 'call dropped' | 'condition' | 'operator' | 'boundary' | 'value';

export interface Mutant {
  /** Relative to the checkout. */
  readonly file: string;
  readonly line: number;
  readonly start: number;
  readonly end: number;
  readonly replacement: string;
  readonly kind: Kind;
  /** The change in one line, for people, and for the list of those without effect. */
  readonly change: string;
}

type Edit = Pick<Mutant, 'start' | 'end' | 'replacement' | 'kind'>;

const otherOperator: Readonly<Record<string, readonly string[]>> = {
  '===': ['!=='],
  '!==': ['==='],
  '<': ['<=', '>='],
  '<=': ['<', '>'],
  '>': ['>=', '<='],
  '>=': ['>', '<'],
  '+': ['-'],
  '-': ['+'],
  '*': ['/'],
  '%': ['*'],
  '&': ['|'],
  '|': ['&'],
  '<<': ['>>'],
  '>>': ['<<'],
};

/** How a function says no: it throws, it returns, or it calls what throws. */
const saysNo = /^(?:throw\b|return\b|\w*(?:fault|malformed|refuse|fail|reject)\w*\()/i;
/** Only told to the log and to people, not done. */
const tells = /^(?:await )?(?:[\w.]+\.)?(?:emit|say|warn|write|progress)\w*\(/;

/** @param checkout where `file` is */
export function mutantsOf(checkout: string, file: string): Mutant[] {
  const text = readFileSync(join(checkout, file), 'utf8');
  const { code, tree } = parseSource(text);
  const edits: Edit[] = [];
  walk(tree, (node, way) => {
    // Top-level declarations are sizes and tables; a test would only repeat them.
    if (way.some((n) => isFunction(n))) edits.push(...editsAt(node, code, way.at(-1)));
  });
  return edits.map((edit) => ({ file, ...edit, ...placeOf(text, edit) }));
}

const isFunction = ({ type }: Node) => /Function/.test(type);

function placeOf(text: string, { start, end, replacement }: Edit): Pick<Mutant, 'line' | 'change'> {
  const line = text.slice(0, start).split('\n').length;
  const before = text.slice(text.lastIndexOf('\n', start) + 1, start);
  const after = text.slice(end).split('\n')[0] ?? '';
  const oneLine = (part: string) => part.replace(/\s+/g, ' ').trim();
  return {
    line,
    change: `${oneLine(`${before}⟦${text.slice(start, end)}⟧${after}`)} ⇒ ⟦${replacement}⟧`,
  };
}

function editsAt(node: Node, code: string, parent: Node | undefined): Edit[] {
  const textOf = (n: unknown) => (isNode(n) ? code.slice(n.start, n.end) : '');
  const edit = (
    kind: Kind,
    replacement: string,
    { start, end }: Pick<Node, 'start' | 'end'> = node,
  ): Edit => ({
    ...{ kind, start, end, replacement },
  });
  switch (node.type) {
    case 'IfStatement':
      return ifEdits(node, textOf).map(({ kind, replacement, at }) => edit(kind, replacement, at));
    case 'ConditionalExpression':
      return [edit('condition', `!(${textOf(node.test)})`, node.test as Node)];
    case 'LogicalExpression':
    case 'BinaryExpression':
      return operatorEdits(node, code).map(({ kind, replacement, at }) => edit(kind, replacement, at));
    case 'UnaryExpression':
      return node.operator === '!' ? [edit('condition', `(${textOf(node.argument)})`)] : [];
    case 'Literal':
      return literalEdits(node, parent).map((replacement) =>
        edit(typeof node.value === 'number' ? 'boundary' : 'value', replacement),
      );
    case 'ExpressionStatement':
      return isDroppable(node, textOf) ? [edit('call dropped', ';')] : [];
    default:
      return [];
  }
}

interface Part {
  readonly kind: Kind;
  readonly replacement: string;
  readonly at: Node;
}

function ifEdits(node: Node, textOf: (n: unknown) => string): Part[] {
  const test = node.test as Node;
  const inner = textOf(node.consequent).replace(/^\{\s*/, '');
  const isCheck = !isNode(node.alternate) && saysNo.test(inner);
  const never: Part[] = isCheck ? [] : [{ kind: 'condition', replacement: 'false', at: test }];
  const dropped: Part[] = isCheck ? [{ kind: 'check dropped', replacement: ';', at: node }] : [];
  return [...dropped, ...never, { kind: 'condition', replacement: 'true', at: test }];
}

/** The operator between two operands. */
function operatorEdits(node: Node, code: string): Part[] {
  const [left, right] = [node.left as Node, node.right as Node];
  if (!isNode(left) || !isNode(right)) return [];
  const operator = String(node.operator);
  // Concatenated texts; what they say is not what is done.
  if (
    operator === '+' &&
    [left, right].some((n) => n.type === 'TemplateLiteral' || typeof n.value === 'string')
  )
    return [];
  if (node.type === 'LogicalExpression') {
    if (operator === '??')
      return [{ kind: 'operator', replacement: code.slice(left.start, left.end), at: node }];
    return [left, right].map((n) => ({
      kind: 'condition' as const,
      replacement: operator === '&&' ? 'true' : 'false',
      at: n,
    }));
  }
  const at = code.slice(left.end, right.start).indexOf(operator) + left.end;
  const between = { type: 'operator', start: at, end: at + operator.length };
  return (otherOperator[operator] ?? []).map((replacement) => ({
    kind: 'operator',
    replacement,
    at: between,
  }));
}

function literalEdits(node: Node, parent: Node | undefined): string[] {
  // Field names, and positions in imports.
  if (parent?.type === 'Property' && parent.key === node && parent.computed !== true) return [];
  if (typeof node.value === 'boolean') return [String(!node.value)];
  if (typeof node.value === 'number') return [String(node.value + 1)];
  return [];
}

function isDroppable(node: Node, textOf: (n: unknown) => string): boolean {
  const expression = node.expression as Node;
  const inner = expression.type === 'AwaitExpression' ? (expression.argument as Node) : expression;
  return inner.type === 'CallExpression' && !tells.test(textOf(node)) && !/^super\(/.test(textOf(node));
}
