/** Modules that esbuild has split become functions in one file, and do what they did as modules. */
import assert from 'node:assert/strict';
import { closeSync, openSync } from 'node:fs';
import { mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { runInThisContext } from 'node:vm';
import { readProgram } from '../../tools/compile/code.ts';
import { joinKept, KeptCode } from '../../tools/compile/kept.ts';
import { link } from '../../tools/compile/link.ts';
import { split } from '../../tools/compile/split.ts';

const folder = await mkdtemp(join(tmpdir(), 'nixmaker-link-'));
after(() => rm(folder, { recursive: true }));

type Exports = Record<string, unknown>;
const linked = (text: string) =>
  runInThisContext(
    link({ path: 'a.js', text }, (name) => (name.startsWith('./') ? Number(name.slice(2)) : undefined)),
  ) as (load: (chunk: number) => Exports, require: (name: string) => unknown) => Exports;
const require = (name: string) => ({ name, member: `member of ${name}` });
const load = (chunk: number): Exports => ({
  default: `default of ${chunk}`,
  member: `member of ${chunk}`,
  'a-b': chunk,
});

test('imports of chunks and of Node.js’ own modules', () => {
  const exports =
    linked(`import"./9";import d from"./1";import{member as m,"a-b"as ab}from"./2";import*as all from"./3";
    import own from"node:own";import{member as om}from"node:own";import*as oa from"node:own";
    export{d as one,m,ab,all as "not-a-name",own,om,oa};`)(load, require);
  assert.deepEqual(
    { ...exports },
    {
      one: 'default of 1',
      m: 'member of 2',
      ab: 2,
      'not-a-name': load(3),
      own: require('node:own'),
      om: 'member of node:own',
      oa: require('node:own'),
    },
  );
});

test('what is imported runs before, in order, even if nothing of it is used', () => {
  const ran: number[] = [];
  const note = (chunk: number) => {
    ran.push(chunk);
    return {};
  };
  linked('export default a;import"./5";import{a}from"./3";export{b}from"./4";')(note, require);
  // Once more for what is passed on: it has run by then.
  assert.deepEqual(ran, [5, 3, 4, 4]);
});

test('a default that is an expression, and exports of others', () => {
  const exports = linked('export default 6*7;export{member as mine,default as theirs}from"./8";')(
    load,
    require,
  );
  assert.deepEqual({ ...exports }, { default: 42, mine: 'member of 8', theirs: 'default of 8' });
});

test('import() waits, and knows only what is known beforehand', async () => {
  const { later } = linked('var later=()=>import("./7");export{later};')(load, require);
  const promise = (later as () => Promise<Exports>)();
  assert.deepEqual(await promise, load(7));
  assert.throws(
    () => linked('export const x=1;import(y)'),
    /imports what is not known beforehand|is not expected/,
  );
  assert.throws(
    () => linked('var y="./7",x=()=>import(y);export{x};'),
    /a\.js imports what is not known beforehand/,
  );
});

test('an export that changes later is refused: whoever imported it would keep the old one', () => {
  for (const change of [
    'x=2',
    'x++',
    'x??=3',
    'function f(){x=4}',
    '[x]=[5]',
    '({a:x}={a:6})',
    'for(x of[7]);',
  ])
    assert.throws(() => linked(`var x=1;${change};export{x};`), /a\.js changes its export x/, change);
  assert.deepEqual({ ...linked('var x=1,y=2;y=3;export{x};')(load, require) }, { x: 1 });
  assert.throws(() => linked('export*from"./1";'), /ExportAllDeclaration is not expected/);
});

test('it is strict, as modules are', () => {
  const exports = linked('var self=(function(){return this})();export{self};')(load, require);
  assert.equal(exports.self, undefined);
});

test('a program split into chunks does the same as its modules, and reads a chunk only when needed', async () => {
  const files = {
    'shared.ts': 'export const seen: string[] = []; export const note = (s: string) => { seen.push(s); };',
    'first.ts': `import { note } from './shared.ts'; note('first'); export const first = () => import('./second.ts');`,
    'second.ts': `import { note, seen } from './shared.ts'; note('second'); export const done = () => seen.join();`,
    'never.ts': `import { note } from './shared.ts'; note('never'); export const other = 'never';`,
    'main.ts': `import { note } from './shared.ts'; import { first } from './first.ts';
      const { resolve, never } = globalThis.splitTest; if (never) void import('./never.ts');
      note('main'); void first().then(({ done }) => resolve(done()));`,
  };
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text);
  const options = { absWorkingDir: folder, bundle: true, platform: 'node', minifyWhitespace: true } as const;
  const { code, layout } = await split(options, 'main.ts');
  await writeFile(join(folder, 'program.code.cjs'), code);
  const { scripts, run } = readProgram(
    join(folder, 'program'),
    layout,
    () => undefined,
    createRequire(import.meta.url),
  );
  for (const never of [false, true]) {
    const said = await new Promise((resolve) => {
      Object.assign(globalThis, { splitTest: { resolve, never } });
      run();
    });
    assert.equal(said, never ? 'first,main,never,second' : 'first,main,second');
    assert.equal(scripts.size, never ? layout.places.length : layout.places.length - 1);
  }
});

test('kept code of each chunk is found again; of a short or absent file there is none', async () => {
  const codes = [Buffer.from('one'), undefined, Buffer.alloc(0), Buffer.from('and the last')];
  const bytes = joinKept(codes, 'stamp');
  const path = join(folder, 'kept.v8');
  const keptIn = async (content: Buffer) => {
    await writeFile(path, content);
    const file = openSync(path, 'r');
    const kept = new KeptCode(file, codes.length, 'stamp');
    const all = codes.map((_, chunk) => kept.of(chunk)?.toString());
    closeSync(file);
    return all;
  };
  assert.deepEqual(await keptIn(bytes), ['one', undefined, undefined, 'and the last']);
  assert.deepEqual(await keptIn(bytes.subarray(0, -1)), ['one', undefined, undefined, undefined]);
  await assert.rejects(keptIn(Buffer.alloc(0)), /of another program/);
  await assert.rejects(keptIn(joinKept(codes, 'other')), /of another program/);
});

test('a program may call things as it likes, but not as the linker does', () => {
  const exports = linked('import{member as m}from"./2";function load(){return m}export{load};')(
    load,
    require,
  );
  assert.equal((exports.load as () => unknown)(), 'member of 2');
  assert.throws(() => linked('function __load(){}'), /a\.js has a name of the linker’s/);
  assert.throws(() => linked('export const x=1;'), /ExportNamedDeclaration is not expected/);
});

test('code that is cut short or another build’s is not begun; what only a module may have is not compiled', async () => {
  await writeFile(join(folder, 'whole.ts'), 'globalThis.splitRan = 1;');
  await writeFile(join(folder, 'waits.ts'), 'await Promise.resolve();');
  const options = { absWorkingDir: folder, bundle: true, platform: 'node' } as const;
  await assert.rejects(split(options, 'waits.ts'), /SyntaxError: await is only valid/);
  const { code, layout } = await split(options, 'whole.ts');
  const name = join(folder, 'cut');
  await writeFile(join(folder, 'whole.ts'), 'globalThis.splitRan = 2;');
  const { code: changed } = await split(options, 'whole.ts');
  assert.equal(changed.length, code.length);
  for (const text of [code.slice(0, -2), code.slice(0, code.length / 2), '', changed]) {
    await writeFile(`${name}.code.cjs`, text);
    assert.throws(
      () => readProgram(name, layout, () => undefined, createRequire(import.meta.url)),
      /cut short or of another version/,
    );
  }
});

test('another build that comes while the program runs is not mixed with it: beside it nothing happens, over it no more is read', async () => {
  const options = { absWorkingDir: folder, bundle: true, platform: 'node' } as const;
  await writeFile(join(folder, 'soon.ts'), 'export const said = "mine";');
  const entry = join(folder, 'begins.ts');
  await writeFile(entry, 'globalThis.splitTest.later = () => import("./soon.ts");');
  const mine = await split(options, 'begins.ts');
  await writeFile(join(folder, 'soon.ts'), 'export const said = "else";');
  const other = await split(options, 'begins.ts');
  assert.equal(other.code.length, mine.code.length);
  const path = join(folder, 'begins.code.cjs');
  const later = async (come: () => Promise<void>): Promise<unknown> => {
    await writeFile(path, mine.code);
    const given: { later?: () => Promise<{ readonly said: string }> } = {};
    Object.assign(globalThis, { splitTest: given });
    const require = createRequire(import.meta.url);
    readProgram(join(folder, 'begins'), mine.layout, () => undefined, require).run();
    await come();
    return (await given.later?.())?.said;
  };
  const beside = async () => {
    await writeFile(`${path}.new`, other.code);
    await rename(`${path}.new`, path);
  };
  assert.equal(await later(beside), 'mine');
  const [at, size] = mine.layout.places.at(-1) as readonly [number, number, number];
  // As far as into the last chunk, which is what is needed next.
  const half = (from: string, to: string) => `${from.slice(0, at + size / 2)}${to.slice(at + size / 2)}`;
  for (const text of [other.code, half(other.code, mine.code), mine.code.slice(0, at + 1)])
    await assert.rejects(
      later(() => writeFile(path, text)),
      /begins\.code\.cjs is cut short or of another version/,
    );
});
