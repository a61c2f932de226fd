/** What runs as root and what must never be trusted share no code but what is meant for both. By the import graph. */
import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { reachedFrom, readImportGraph } from './imports.ts';

const checkout = new URL('../..', import.meta.url).pathname;
const graph = readImportGraph(checkout, 'src');

/** The verb that a unit starts, by its ExecStart=, and whether systemd starts it as root. */
const units = readdirSync(join(checkout, 'systemd'))
  .filter((name) => name.endsWith('.service'))
  .map((name) => {
    const text = readFileSync(join(checkout, 'systemd', name), 'utf8');
    const verb =
      /^ExecStart=(?:\/usr\/bin\/flock --close \S+ )?\/usr\/bin\/nixmaker (\S+)/m.exec(text)?.[1] ?? '';
    return { name, verb, isRoots: !/^User=/m.test(text) };
  });

function fileOf(verb: string): string {
  const file = [...graph.keys()].find(
    (path) =>
      path.startsWith('src/cli/units/') &&
      readFileSync(join(checkout, path), 'utf8').includes(`.command('${verb}'`),
  );
  assert.ok(file, `no file of src/cli/units defines the verb “${verb}”`);
  return file;
}

/** Watching, queues, reading what others wrote; and asking root, which root does not. */
const isTheAgents = (path: string) =>
  /^src\/(desk|bundle)\//.test(path) ||
  /^src\/target\/(ask|update|media|service)\//.test(path) ||
  /^src\/media\/(watch-|archive|inbox)/.test(path);

/** Serving the agent, and whatever changes the machine. */
const isRoots = (path: string) =>
  /^src\/desk\//.test(path) ||
  /^src\/target\/(root|activate)\//.test(path) ||
  /^src\/activation\/(switch|outside|units)\./.test(path);

/** Where one process is both sides, root’s is loaded here; a process without privileges never comes by. */
const crossing = 'src/cli/target/open-target.ts → src/target/root/direct.ts';

test('an import from one side to the other would be found', () => {
  const serve = 'src/target/root/serve.ts';
  const files = [...(graph.get(serve)?.files ?? []), 'src/target/service/agent.ts'];
  const broken = new Map(graph).set(serve, { files, packages: [] });
  const entry = fileOf('activate');
  assert.deepEqual([...reachedFrom(graph, [entry])].filter(isTheAgents), []);
  assert.ok([...reachedFrom(broken, [entry])].some(isTheAgents));
});

const hasNetwork = (unit: string) => /^nixmaker-(fetch|serve)[.]/.test(unit);

for (const { name, verb } of units)
  test(`${name} ${hasNetwork(name) ? 'has a network, and reaches nothing of root’s' : 'reaches no network'}`, () => {
    const reached = [...reachedFrom(graph, [fileOf(verb)], new Set([crossing]))];
    const network = reached.filter((path) => path.startsWith('src/network/'));
    if (hasNetwork(name)) assert.deepEqual(reached.filter(isRoots), []);
    assert.equal(network.length > 0, hasNetwork(name), network.join(' '));
  });

test('every unit starts a verb of src/cli/units', () => {
  assert.ok(units.length >= 7);
  for (const { name, verb } of units) assert.notEqual(verb, '', name);
  for (const { verb } of units) fileOf(verb);
});

for (const { name, verb } of units.filter((u) => u.isRoots))
  test(`${name}, which is root’s, reaches nothing of the agent’s`, () => {
    const reached = [...reachedFrom(graph, [fileOf(verb)])];
    assert.ok(reached.some((path) => path.startsWith('src/target/')));
    assert.deepEqual(reached.filter(isTheAgents), []);
  });

test('the agent’s unit reaches nothing of root’s, but by the one way of a process that is both', () => {
  const [agent, ...others] = units.filter((u) => !u.isRoots && !hasNetwork(u.name));
  assert.ok(agent !== undefined && others.length === 0);
  const entry = fileOf(agent.verb);
  const reached = [...reachedFrom(graph, [entry], new Set([crossing]))];
  assert.ok(reached.includes('src/target/ask/by-request.ts'));
  assert.deepEqual(reached.filter(isRoots), []);
  assert.ok([...reachedFrom(graph, [entry])].some(isRoots), 'the crossing is not what leads to root’s side');
});

test('the crossing is loaded only when it is taken', () => {
  const [from = ''] = crossing.split(' → ');
  const text = readFileSync(join(checkout, from), 'utf8');
  assert.match(text, /await import\('[^']*\/root\/direct\.ts'\)/);
  assert.doesNotMatch(text, /from '[^']*\/root\/direct\.ts'/);
});
