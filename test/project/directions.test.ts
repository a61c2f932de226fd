/**
 * Which folder may use what: other folders, and packages. One list; what is not on it is forbidden, a new folder or a new package
 * until somebody has put it there. docs/architecture.md says why it is so.
 */
import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import { findCircle, type Imports, readImportGraph, resolved } from './imports.ts';

const core = 'core core/bundle core/policy core/release core/run';
const machine = `${core} files node signing nix state target/machine`;
const verbs = `cli/terminal commander node report ${core}`;

const mayUse: Readonly<Record<string, string>> = {
  core: 'pretty-bytes zod',
  'core/bundle': 'core core/release',
  'core/release': 'core',
  'core/policy': 'core core/release',
  'core/run': 'core core/policy',
  'core/install': 'core',

  files: 'core node',
  process: 'core node execa',
  network: 'core node',
  signing: 'core core/bundle core/install core/policy core/release node',
  bundle: 'core core/bundle core/install core/release files node age-encryption p-limit tar',
  nix: 'core core/bundle core/policy core/release core/run node p-limit',
  media: 'core core/bundle core/policy files node chokidar node-disk-info',
  activation: 'core core/policy core/run files node',
  state: 'core core/policy core/release core/run files node @humanwhocodes/momoa write-file-atomic',
  report: 'core core/bundle core/release core/run node listr2 p-limit pino prom-client',

  'desk/build': 'core core/bundle core/release bundle files nix node p-limit process signing',
  'desk/keys':
    'core core/bundle core/install core/release core/policy bundle desk/build files node p-limit process signing @cyclonedx/cyclonedx-library',
  'desk/pool': 'core core/bundle core/release bundle desk/keys files media node process signing',
  'desk/pass-on': `${machine} bundle desk/build`,
  'desk/fleet':
    'core core/bundle core/release core/run bundle desk/build desk/keys files node process report signing',

  'target/machine': `${core} activation bundle files media nix node process signing state`,
  'target/activate': `${machine} activation media report`,
  'target/root': `${machine} activation media target/activate`,
  'target/ask': 'core core/release core/run state target/machine',
  'target/update': `${machine} bundle media`,
  'target/media': `${core} bundle media node signing target/machine target/update`,
  'target/install': `${machine} activation bundle core/install media process target/root target/update`,
  'target/fetch': `${machine} bundle media network p-limit target/update`,
  'target/inspect': `${machine} activation bundle media process report target/media target/update`,
  'target/desktop': `${core} activation files node nix process report state target/inspect target/machine`,
  'target/service': `${machine} bundle media report target/inspect target/media target/update`,

  gateway: 'core core/bundle bundle files media network node',

  'cli/terminal': `node report ${core}`,
  cli: `${verbs} cli/desk cli/help cli/target cli/units`,
  'cli/help': 'core commander',
  'cli/desk': `${verbs} core/install cli/target desk/pass-on desk/build desk/fleet desk/keys desk/pool target/inspect target/root`,
  'cli/target': `${verbs} desk/keys target/activate target/ask target/inspect target/install target/machine target/root target/service target/update`,
  'cli/units': `${verbs} cli/target gateway target/activate process core/install target/desktop target/fetch target/install target/machine target/root target/service`,
};

const folderOf = (file: string) => dirname(file).replace(/^src\//, '');

/** What the file uses and may not. */
function forbidden(file: string, { files, packages }: Imports): string[] {
  const allowed = new Set(mayUse[folderOf(file)]?.split(' '));
  const used = new Set([...files.map(folderOf), ...packages]);
  used.delete(folderOf(file));
  return [...used].filter((name) => !allowed.has(name));
}

const checkout = new URL('../..', import.meta.url).pathname;
const graph = readImportGraph(checkout, 'src');

test('every folder uses what it may, and nothing else', () => {
  assert.ok(graph.size > 200);
  const found = [...graph].flatMap(([file, imports]) =>
    forbidden(file, imports).map((name) => `${file} uses ${name}`),
  );
  assert.deepEqual(found, []);
});

test('what the list allows is needed: a permission that nobody uses is struck out', () => {
  const unused = Object.entries(mayUse).flatMap(([folder, names]) => {
    const inFolder = [...graph].filter(([file]) => folderOf(file) === folder).map(([, imports]) => imports);
    const used = new Set(inFolder.flatMap((i) => [...i.files.map(folderOf), ...i.packages]));
    const shared = new Set(`${core} ${machine} ${verbs}`.split(' '));
    return names
      .split(' ')
      .flatMap((name) => (used.has(name) || shared.has(name) ? [] : `${folder}: ${name}`));
  });
  assert.deepEqual(unused, []);
});

test('no file imports itself by way of others', () => {
  assert.equal(findCircle(graph), undefined);
});

test('no folder leads back to itself', () => {
  const folders = new Map<string, Imports>();
  for (const [file, { files }] of graph) {
    const folder = folderOf(file);
    const others = files.map(folderOf).filter((name) => name !== folder);
    folders.set(folder, { files: [...(folders.get(folder)?.files ?? []), ...others], packages: [] });
  }
  assert.equal(findCircle(folders), undefined);
});

for (const [file, from, name] of [
  ['src/core/x.ts', 'node:fs', 'node'],
  ['src/core/x.ts', '../signing/verify.ts', 'signing'],
  ['src/signing/x.ts', '../bundle/file.ts', 'bundle'],
  ['src/bundle/x.ts', '../signing/verify.ts', 'signing'],
  ['src/nix/x.ts', 'execa', 'execa'],
  ['src/target/update/x.ts', 'tar', 'tar'],
  ['src/desk/build/x.ts', '../../target/machine/machine.ts', 'target/machine'],
  ['src/cli/desk/x.ts', '../../nix/command.ts', 'nix'],
  ['src/target/root/x.ts', '../service/agent.ts', 'target/service'],
  ['src/target/service/x.ts', '../root/serve.ts', 'target/root'],
  ['src/target/new-room/x.ts', '../machine/machine.ts', 'target/machine'],
  ['src/state/x.ts', 'lodash/get.js', 'lodash'],
] as const)
  test(`${file} may not import ${from}, in whatever way`, () => {
    for (const text of [
      `import { y } from '${from}';`,
      `import type { y } from '${from}';`,
      `import {\n  y,\n  z,\n} from '${from}';`,
      `import '${from}';`,
      `export { y } from '${from}';`,
      `const y = await import('${from}');`,
      `type Y = import('${from}').Y;`,
    ])
      assert.deepEqual(forbidden(file, resolved(file, text)), [name], text);
  });

test('an allowed import is let through', () => {
  const text = "import { nix } from '../../nix/command.ts';\nimport { open } from 'node:fs/promises';";
  assert.deepEqual(forbidden('src/target/update/x.ts', resolved('src/target/update/x.ts', text)), []);
});

test('a circle is found', () => {
  const circle = new Map([
    ['a', { files: ['b'], packages: [] }],
    ['b', { files: ['c'], packages: [] }],
    ['c', { files: ['b'], packages: [] }],
  ]);
  assert.deepEqual(findCircle(circle), ['b', 'c', 'b']);
});
