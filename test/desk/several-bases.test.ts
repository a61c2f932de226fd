/** `build --since` given several times: one bundle for machines that have different releases, and never larger than the whole. */
import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { readRelease } from '../../src/desk/keys/read-release.ts';
import { nixSystem } from '../machines/program.ts';
import { makeDesk } from '../support/desk.ts';
import { writeFlake } from '../support/fleet.ts';

const { folder, keys, nixmaker, ok } = await makeDesk();

/** A package of that name: a piece of the Node.js program, and a line of its own. */
const tool = (name: string, from: number, line: string) =>
  `(derivation { name = "${name}"; system = "${nixSystem}"; builder = "/bin/sh"; PATH = "/usr/bin:/bin:/run/current-system/sw/bin"; args = [ "-euc" "{ dd if=${process.execPath} iflag=skip_bytes,count_bytes bs=64K skip=${from} count=300000 status=none; echo ${line}; } >$out" ]; })`;

const flakes = {
  first: [tool('tool-1.0', 5_000_000, 'first'), tool('old-name', 9_000_000, 'first')],
  second: [tool('tool-1.1', 5_000_000, 'second'), tool('old-name', 9_000_000, 'first')],
  third: [tool('tool-1.2', 5_000_000, 'third'), tool('new-name', 9_000_000, 'third')],
} as const;

async function build(name: keyof typeof flakes, out: string, ...args: string[]): Promise<string> {
  const motd = `"${name} \${toString [ ${flakes[name].join(' ')} ]}"`;
  const flake = await writeFlake(join(folder, name), {
    hosts: { web: `mkSystem { hostName = "web"; motd = ${motd}; }` },
  });
  const sequence = String(Object.keys(flakes).indexOf(name));
  const flags = ['-d', join(folder, out), '--key', keys.secretFile, '--sequence', sequence];
  await ok('build', '-f', `path:${flake}`, ...flags, ...args);
  return join(folder, out, 'web/web.tar');
}

const first = await build('first', 'first-out');
const second = await build('second', 'second-out');
const whole = await build('third', 'whole-out');

const pathsOf = async (bundle: string) => new Set((await readRelease(bundle)).index.paths());

/** Of each base, the paths that a machine with it could not have by this bundle. */
async function lacking(bundle: string, bases: readonly string[]): Promise<string[]> {
  const { index, pieces } = await readRelease(bundle);
  const lacks: string[] = [];
  for (const base of bases) {
    const had = await pathsOf(base);
    index.paths().forEach((path, line) => {
      const ways = pieces.get(line) ?? [];
      if (!had.has(path) && !ways.some((p) => p.kind === 'whole' || had.has(p.base))) lacks.push(path);
    });
  }
  return lacks;
}

test('one bundle serves machines with the release before and with the one before that, and is smaller than the whole', async () => {
  const both = await build('third', 'both-out', '--since', first, '--since', second);
  assert.deepEqual(await lacking(both, [first, second]), []);
  assert.deepEqual((await readRelease(both)).manifest, (await readRelease(whole)).manifest);
  assert.ok((await stat(both)).size < (await stat(whole)).size / 2);
  const one = await build('third', 'one-out', '--since', second);
  assert.deepEqual(await lacking(one, [second]), []);
  assert.ok((await lacking(one, [first])).length > 0, 'that of one base is of no use to the other');
  assert.ok((await stat(one)).size <= (await stat(both)).size);
});

test('what was renamed is carried as a difference to what it was', async () => {
  const { index, pieces } = await readRelease(await build('third', 'renamed-out', '--since', second));
  const line = index.paths().findIndex((path) => path.endsWith('-new-name'));
  const [piece] = pieces.get(line) ?? [];
  assert.ok(piece?.kind === 'delta');
  assert.match(piece.base, /-old-name$/);
  assert.ok(piece.size < 5000);
});

test('bases that say nothing of a host that is to be built are refused, and more than fifteen of one', async () => {
  const flags = ['-f', `path:${join(folder, 'third')}`, '-d', join(folder, 'none'), '--key', keys.secretFile];
  const other = await nixmaker('build', ...flags, '--since', first, '--host', 'mail');
  assert.match(other.stderr, /first-out\/web\/web\.tar describes web, but you are building mail/);
  const more = await nixmaker('build', ...flags, '--since', first, '--host', 'web', '--host', 'mail');
  assert.match(more.stderr, /you are building mail, but \S+web\.tar only describes web/);
  const many = Array.from({ length: 16 }, () => ['--since', first]).flat();
  assert.match((await nixmaker('build', ...flags, ...many)).stderr, /16 times for web; the limit is 15/);
});
