/** As many paths as a machine may have lost, by a Nix whose command line has room for few: a line’s limit is a quarter of the stack’s. */
import assert from 'node:assert/strict';
import { lstat, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { ProcessRunner } from '../../src/core/ports.ts';
import { parseStorePathLines, type StorePath } from '../../src/core/store-path.ts';
import { deletePaths, findInvalid, findReferrers } from '../../src/nix/store.ts';
import { runProgram } from '../../src/process/run.ts';
import { temporaryFolder } from '../support/bundles.ts';

const count = 3000;

/** execve(2): a quarter of the stack, and 128 KiB at least, for all arguments and the environment. */
const runBriefly: ProcessRunner = (program, args, options) =>
  runProgram('sh', ['-c', 'ulimit -S -s 512; exec "$@"', 'sh', program, ...args], options);

/** The first, and all others, which refer to it; the last refers to the one before it as well. */
async function filledStore(t: TestContext) {
  const store = await temporaryFolder(t);
  const each = `builtins.toFile "p" "\${toString n} \${first}"`;
  const all = `let first = builtins.toFile "p" "first"; others = builtins.genList (n: ${each}) ${count - 2}; in [ first ] ++ others ++ [ (builtins.toFile "p" "\${first} \${builtins.elemAt others 0}") ]`;
  const args = ['--eval', '--json', '--strict', '--read-write-mode', '--store', store, '-E', all];
  const made = await runProgram('nix-instantiate', args);
  assert.equal(made.exitCode, 0, made.stderrTail.join('\n'));
  const paths = parseStorePathLines((JSON.parse(made.stdout) as string[]).join('\n'));
  assert.equal(paths.length, count);
  return { nix: { run: runBriefly, store }, paths, first: paths[0] as StorePath };
}

const sorted = (paths: readonly StorePath[]) => [...paths].sort();

test('more paths than a command line holds are asked about, and deleted with what refers to them', async (t) => {
  const { nix, paths, first } = await filledStore(t);
  assert.deepEqual(sorted(await findReferrers(nix, paths)), sorted(paths));
  await deletePaths(nix, await findReferrers(nix, [first]));
  assert.deepEqual(await findInvalid(nix, paths), paths);
  // A second time, as after a cut: they are not fetched for the sake of being deleted.
  await deletePaths(nix, paths);
});

test('what a cut import has left goes too, though it is not valid', async (t) => {
  const { nix, paths, first } = await filledStore(t);
  const leftover = join(nix.store, 'nix/store', `${'a'.repeat(32)}-left`);
  await mkdir(join(leftover, 'bin'), { recursive: true });
  await deletePaths(nix, [
    `/nix/store/${'a'.repeat(32)}-left` as StorePath,
    ...(await findReferrers(nix, [first])),
  ]);
  await assert.rejects(lstat(leftover), { code: 'ENOENT' });
  assert.deepEqual(await findInvalid(nix, paths), paths);
});

test('what could not be deleted is counted and named', async (t) => {
  const { nix, paths, first } = await filledStore(t);
  // Its referrers are not among them.
  await assert.rejects(deletePaths(nix, [first, paths.at(-1) as StorePath]), (error: Error) => {
    assert.match(
      error.message,
      /^nix-failed: [12] of 2 store paths are still there, the first is \/nix\/store\/.*-p: /,
    );
    assert.match(error.message, /still alive/);
    return true;
  });
  assert.deepEqual(await findInvalid(nix, [first]), []);
});
