/** What is installed: a few files that need no package beside them. */
import assert from 'node:assert/strict';
import { cp, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';
import { checkout, run } from '../machines/program.ts';
import { makeTarget } from '../machines/sandboxed-target.ts';
import { makeWorkshop, plainHost } from '../support/fleet.ts';

const shop = await makeWorkshop();
const installed = join(shop.folder, 'installed');
const main = join(installed, 'dist/cli/main.cjs');

test('it compiles into few files, which start without the packages', async () => {
  const compile = () => run(join(checkout, 'scripts/compile'), [join(installed, 'dist')]);
  const alone = await compile();
  // V8’s code is kept of a program that works: it looks for this file beside its folder.
  assert.match(alone.stderr, /its code can’t be kept: [\s\S]*package\.json/);
  await cp(join(checkout, 'package.json'), join(installed, 'package.json'));
  const compiled = await compile();
  assert.equal(compiled.code, 0, compiled.stderr);
  assert.deepEqual((await readdir(installed)).sort(), ['dist', 'package.json']);
  const version = await run(process.execPath, [main, '--version'], { cwd: '/' });
  assert.match(version.stdout, /^\d+\.\d+\.\d+\n$/, version.stderr);
  const help = await run(process.execPath, [main, '--help'], { cwd: '/' });
  const verbs = [...help.stdout.matchAll(/^ {2}([a-z][a-z-]+)/gm)].map(([, verb]) => verb as string);
  assert.ok(verbs.length > 20, help.stdout);
});

test('what V8 makes of it lies beside it, for the agent without a compiler and for all others; it starts without, too', async () => {
  const { v8 } = process.versions;
  const files = await readdir(dirname(main));
  const keptFiles = ['', '.jitless'].map((kind) => `main.${v8}.${process.arch}${kind}.v8`);
  assert.deepEqual(files.filter((name) => name.endsWith('.v8')).sort(), keptFiles.sort());
  const bare = join(shop.folder, 'bare/dist/cli');
  await mkdir(bare, { recursive: true });
  for (const name of ['main.cjs', 'main.code.cjs']) await cp(join(dirname(main), name), join(bare, name));
  await cp(join(checkout, 'package.json'), join(shop.folder, 'bare/package.json'));
  const help = await run(process.execPath, [join(bare, 'main.cjs'), '--help']);
  assert.match(help.stdout, /Usage: nixmaker/, help.stderr);
});

test('V8 takes what was kept, with and without its compiler, and nothing compiles text of its own', async () => {
  // Each script of ours says whether V8 took what it was given, each use of `Function` is told.
  const spy = join(shop.folder, 'spy.cjs');
  await writeFile(
    spy,
    `const vm = require('node:vm');
    const { Script } = vm;
    const seen = { taken: 0, refused: 0, without: 0, functions: 0 };
    vm.Script = class extends Script {
      constructor(source, options) {
        super(source, options);
        if (!options.filename.endsWith('.code.cjs')) return;
        seen[this.cachedDataRejected === undefined ? 'without' : this.cachedDataRejected ? 'refused' : 'taken']++;
      }
    };
    const count = (make) => (...all) => (seen.functions++, make(...all));
    globalThis.Function = new Proxy(Function, { construct: count(Reflect.construct), apply: count(Reflect.apply) });
    process.on('exit', () => process.stderr.write(JSON.stringify(seen) + '\\n'));`,
  );
  const target = await makeTarget(join(shop.folder, 'spied'), {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
  });
  after(() => target.close());
  for (const options of ['', '--jitless']) {
    const env = { NODE_OPTIONS: `${options} --require=${spy}` };
    const args = [main, 'status', '--settings', target.settingsFile];
    const { stderr } = await target.run([process.execPath, ...args], { cwd: '/', env });
    const seen = JSON.parse(stderr.trim().split('\n').at(-1) as string) as Record<string, number>;
    assert.equal(seen.refused, 0, stderr);
    assert.equal(seen.functions, 0, stderr);
    // Some of it is reached only where there is more than settings.
    assert.ok((seen.taken as number) > 5 * (seen.without as number), stderr);
  }
});

/** By name, what is not V8’s. */
async function textsIn(folder: string): Promise<string[][]> {
  const names = (await readdir(folder)).filter((name) => !name.endsWith('.v8')).sort();
  return Promise.all(names.map(async (name) => [name, await readFile(join(folder, name), 'utf8')]));
}

test('compiled once more, to be reproducible, it is the same, byte for byte, but for what V8 makes of it', async () => {
  const folder = join(shop.folder, 'reproducible');
  const ran = await run(join(checkout, 'scripts/compile'), [folder, '--reproducible']);
  assert.equal(ran.code, 0, ran.stderr);
  const texts = await textsIn(join(folder, 'cli'));
  assert.deepEqual(await textsIn(dirname(main)), texts);
  assert.equal((await readdir(join(folder, 'cli'))).length, texts.length);
});

test('a verb that waits for what never comes does not end as if all were well', async () => {
  const never = join(shop.folder, 'never.cjs');
  await writeFile(never, "require('node:fs').promises.readFile = () => new Promise(() => {});");
  const ran = await run(process.execPath, ['--require', never, main, 'status']);
  assert.equal(ran.code, 1, ran.stdout + ran.stderr);
});

test('what was compiled takes a bundle, refuses what is none, and says what runs', async () => {
  const target = await makeTarget(join(shop.folder, 'target'), {
    host: 'web',
    trustedKeys: [shop.keys.publicKey],
  });
  after(() => target.close());
  const verb = (...args: string[]) =>
    target.run([process.execPath, main, ...args, '--settings', target.settingsFile], { cwd: '/' });
  const bundle = await shop.bundle('one', { hosts: { web: plainHost('web', 'one') } });
  const taken = await verb('switch', '--tarball', bundle, '--json');
  assert.equal((JSON.parse(taken.stdout) as { state: string }).state, 'committed', taken.stderr);
  await writeFile(join(target.inbox, 'bad.tar'), Buffer.alloc(64 * 1024, 7));
  const once = await verb('agent', '--once');
  assert.match(once.stdout + once.stderr, /not-a-bundle/);
  const status = await verb('status');
  assert.equal(status.code, 0, status.stderr);
  assert.match(status.stdout, /sample/);
});
