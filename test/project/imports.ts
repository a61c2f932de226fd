/** The imports of the project's own sources, as written: what architecture tests go by. */
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';

const statement =
  /^\s*(?:import|export)\s[^;'"]*?\bfrom\s+'([^']+)'|^\s*import\s+'([^']+)'|\bimport\(\s*'([^']+)'\s*\)/gm;

/** Specifiers, static and dynamic, types as well. */
export function importsOf(text: string): string[] {
  return [...text.matchAll(statement)].map((m) => m[1] ?? m[2] ?? m[3] ?? '');
}

/** By file, relative to the checkout: the files it imports, and the packages. */
export interface Imports {
  readonly files: readonly string[];
  readonly packages: readonly string[];
}

export type ImportGraph = ReadonlyMap<string, Imports>;

export function readImportGraph(checkout: string, folder: string): ImportGraph {
  const names = readdirSync(join(checkout, folder), { recursive: true, encoding: 'utf8' });
  const files = names.filter((name) => name.endsWith('.ts')).map((name) => join(folder, name));
  return new Map(files.map((file) => [file, resolved(file, readFileSync(join(checkout, file), 'utf8'))]));
}

export function resolved(file: string, text: string): Imports {
  const all = importsOf(text);
  return {
    files: all.filter((s) => s.startsWith('.')).map((s) => normalize(join(dirname(file), s))),
    packages: all.filter((s) => !s.startsWith('.')).map(packageOf),
  };
}

/** `node` for all of Node.js' own modules. */
function packageOf(specifier: string): string {
  if (specifier.startsWith('node:')) return 'node';
  return specifier
    .split('/')
    .slice(0, specifier.startsWith('@') ? 2 : 1)
    .join('/');
}

/** All files that are loaded, sooner or later, where the entries are. @param cut edges that are not followed, `from → to` */
export function reachedFrom(
  graph: ImportGraph,
  entries: readonly string[],
  cut: ReadonlySet<string> = new Set(),
): Set<string> {
  const reached = new Set<string>();
  const todo = [...entries];
  for (let file = todo.pop(); file !== undefined; file = todo.pop()) {
    if (reached.has(file)) continue;
    reached.add(file);
    for (const next of graph.get(file)?.files ?? []) if (!cut.has(`${file} → ${next}`)) todo.push(next);
  }
  return reached;
}

/** A way from a file back to itself, or undefined. */
export function findCircle(graph: ImportGraph): string[] | undefined {
  const done = new Set<string>();
  const visit = (file: string, way: readonly string[]): string[] | undefined => {
    if (way.includes(file)) return [...way.slice(way.indexOf(file)), file];
    if (done.has(file)) return undefined;
    for (const next of graph.get(file)?.files ?? []) {
      const circle = visit(next, [...way, file]);
      if (circle !== undefined) return circle;
    }
    done.add(file);
    return undefined;
  };
  for (const file of graph.keys()) {
    const circle = visit(file, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}
