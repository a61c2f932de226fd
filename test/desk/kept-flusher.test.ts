/** One shell for all flushes of a command. */
import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ProcessRunner } from '../../src/core/ports.ts';
import { keepFlusher } from '../../src/desk/pool/kept-flusher.ts';
import { runProgram } from '../../src/process/run.ts';
import { temporaryFolder } from '../support/bundles.ts';

/** @param sync a shell script in its place; without it, the system’s own */
async function flusherWith(t: TestContext, sync?: string) {
  const folder = await temporaryFolder(t);
  const others: string[][] = [];
  const otherwise: ProcessRunner = (program, args, options) => {
    others.push([program, ...args]);
    return runProgram(program, args, options);
  };
  const path = process.env.PATH;
  if (sync !== undefined) {
    await writeFile(join(folder, 'sync'), `#!/bin/sh\n${sync}\n`, { mode: 0o755 });
    process.env.PATH = `${folder}:${path}`;
  }
  const { run, end } = keepFlusher(otherwise);
  process.env.PATH = path;
  t.after(end);
  return { folder, others, end, flush: (root: string) => run('sync', ['--file-system', root]), run };
}

const good = { exitCode: 0, stdout: '', stderrTail: [], timedOut: false, startError: undefined };

test('flushes go through one shell, each after the one before; other programs are run as they are', async (t) => {
  const { folder, others, flush, run } = await flusherWith(t);
  const odd = join(folder, ` $(touch no) 'a' "b" \\n`);
  await mkdir(odd);
  assert.deepEqual(await flush(folder), good);
  assert.deepEqual(await flush(odd), good);
  assert.equal(others.length, 0);
  await run('true', []);
  await run('sync', ['--version']);
  await flush(`${folder}/two\nlines`);
  assert.deepEqual(
    others.map(([program]) => program),
    ['true', 'sync', 'sync'],
  );
});

test('what sync says when it fails is told, and it is not asked a second time', async (t) => {
  const { folder, flush } = await flusherWith(
    t,
    'echo "$2" >>"$2/calls"; echo "sync: error" >&2; echo "Input/output error" >&2; exit 1',
  );
  assert.deepEqual(await flush(folder), {
    ...good,
    exitCode: 1,
    stderrTail: ['sync: error Input/output error'],
  });
  const { stdout } = await runProgram('wc', ['-l', join(folder, 'calls')]);
  assert.match(stdout, /^1 /);
});

test('if the shell ends midway, the flush has failed, and so has every later one', async (t) => {
  const { folder, flush, end } = await flusherWith(t, 'kill -9 $PPID; sleep 0.1');
  for (let i = 0; i < 2; i++) assert.equal((await flush(folder)).exitCode, undefined);
  await end();
});
