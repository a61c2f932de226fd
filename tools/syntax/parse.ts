/** Our own sources as trees: types are blanked out, so positions are the same as in the TypeScript. */
import { stripTypeScriptTypes } from 'node:module';
import { parse } from 'acorn';

/** A node of the ESTree specification, as made by acorn; which other fields there are depends on the type. */
export interface Node {
  readonly type: string;
  readonly start: number;
  readonly end: number;
  readonly [field: string]: unknown;
}

export interface Parsed {
  /** JavaScript, as long as the TypeScript, with blanks for types. */
  readonly code: string;
  readonly tree: Node;
}

export function parseSource(text: string): Parsed {
  const code = stripTypeScriptTypes(text, { mode: 'strip' });
  const tree = parse(code, { ecmaVersion: 'latest', sourceType: 'module', allowHashBang: true });
  return { code, tree: tree as unknown as Node };
}

export const isNode = (value: unknown): value is Node =>
  typeof value === 'object' && value !== null && typeof (value as Node).type === 'string';

export function childrenOf(node: Node): Node[] {
  return Object.values(node).flatMap((value) =>
    Array.isArray(value) ? value.filter(isNode) : isNode(value) ? [value] : [],
  );
}

/** Children first. @param way the nodes around it, nearest last */
export function walk(
  node: Node,
  visit: (node: Node, way: readonly Node[]) => void,
  way: readonly Node[] = [],
): void {
  for (const child of childrenOf(node)) walk(child, visit, [...way, node]);
  visit(node, way);
}
