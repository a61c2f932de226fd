/**
 * Which branches an input has taken: our sources are loaded with a counter in every branch. V8 has counts of its own, but telling
 * them takes it some 25 ms each time, for it walks its whole heap; a counter tells at once (docs/adr/0022).
 */
import { registerHooks } from 'node:module';
import { childrenOf, isNode, type Node, parseSource, walk } from '../../tools/syntax/parse.ts';

const sources = new URL('../../src/', import.meta.url).href;
/** More than there are branches. */
const mostBranches = 1 << 17;

/** Times that each branch has been taken since they were last cleared, as far as a byte counts. */
export const counters = new Uint8ClampedArray(mostBranches);
let used = 0;
(globalThis as Record<string, unknown>).nixmakerBranches = counters;

/** Counters of what has been loaded so far. */
export const branchesKnown = (): number => used;

registerHooks({
  load: (url, context, next) => {
    const loaded = next(url, context);
    if (!url.startsWith(sources) || loaded.source === undefined || loaded.source === null) return loaded;
    return { format: 'module', source: withCounters(String(loaded.source)), shortCircuit: true };
  },
});

interface Insertion {
  readonly at: number;
  readonly text: string;
  readonly opens: boolean;
}

/** Children come first: what closes at a place does so in this order, what opens there in the opposite one. */
export function withCounters(text: string): string {
  const { code, tree } = parseSource(text);
  const all: Insertion[] = [];
  const open = (at: number, inserted: string) => all.unshift({ at, text: inserted, opens: true });
  const close = (at: number, inserted: string) => all.push({ at, text: inserted, opens: false });
  walk(tree, (node, way) => {
    for (const branch of branchesOf(node, way.at(-1))) {
      const count = `nixmakerBranches[${used++}]++`;
      if (branch === 'else') close(node.end, ` else ${count};`);
      else if (branch.type === 'BlockStatement') open(branch.start + 1, `${count};`);
      else if (branch.type.endsWith('Statement')) {
        open(branch.start, `{${count};`);
        close(branch.end, '}');
      } else {
        open(branch.start, `(${count},(`);
        close(branch.end, '))');
      }
    }
    if (node.type === 'SwitchCase' && isNode((node.consequent as unknown[])[0]))
      open((node.consequent as Node[])[0]?.start ?? 0, `nixmakerBranches[${used++}]++;`);
  });
  let result = '';
  let at = 0;
  const order = all.toSorted((a, b) => a.at - b.at || Number(a.opens) - Number(b.opens));
  for (const insertion of order) {
    result += code.slice(at, insertion.at) + insertion.text;
    at = insertion.at;
  }
  return result + code.slice(at);
}

/** Where control may go one way or another. An `if` without an `else` gets one. */
function branchesOf(node: Node, parent: Node | undefined): (Node | 'else')[] {
  const field = (name: string) => childrenOf(node).filter((child) => child === node[name]);
  switch (node.type) {
    case 'FunctionDeclaration':
    case 'FunctionExpression':
    case 'ArrowFunctionExpression':
    case 'ForStatement':
    case 'ForInStatement':
    case 'ForOfStatement':
    case 'WhileStatement':
    case 'DoWhileStatement':
    case 'CatchClause':
      return parent === undefined ? [] : field('body');
    case 'IfStatement':
      return [...field('consequent'), ...(isNode(node.alternate) ? field('alternate') : (['else'] as const))];
    case 'ConditionalExpression':
      return [...field('consequent'), ...field('alternate')];
    case 'LogicalExpression':
      return field('right');
    default:
      return [];
  }
}
