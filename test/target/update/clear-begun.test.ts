/** What an import that found no room has brought is cleared away, however much it is. */
import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { ReleaseIndex } from '../../../src/core/release/index-file.ts';
import { parseStorePathLines } from '../../../src/core/store-path.ts';
import { runProgram } from '../../../src/process/run.ts';
import { clearBegun, openDeleter } from '../../../src/target/update/clear-begun.ts';
import { temporaryFolder } from '../../support/bundles.ts';
import { rootInMemory } from '../../support/root-machine.ts';

const count = 501;

test('a closure is cleared away from its top, though what it refers to comes first in its index', async (t) => {
  const store = await temporaryFolder(t);
  const { machine } = await rootInMemory(t, {});
  const nix = { run: runProgram, store };
  // Each refers to the one before it.
  const before = 'if n == 0 then "" else builtins.elemAt all (n - 1)';
  const chain = `builtins.foldl' (all: n: all ++ [ (builtins.toFile "p" (${before})) ]) [ ] (builtins.genList (n: n) ${count})`;
  const args = ['--eval', '--json', '--strict', '--read-write-mode', '--store', store, '-E', chain];
  const made = await runProgram('nix-instantiate', args);
  assert.equal(made.exitCode, 0, made.stderrTail.join('\n'));
  const paths = parseStorePathLines((JSON.parse(made.stdout) as string[]).join('\n'));
  assert.equal(paths.length, count);
  const index = { path: (line: number) => paths[line] } as unknown as ReleaseIndex;
  const notices: string[] = [];
  const transaction = { notice: (text: string) => notices.push(text) } as never;
  let waited = 0;
  const sleep = async () => {
    waited += 1;
  };
  const clock = { ...machine.clock, sleep };
  const deleter = await openDeleter({ nix });
  await clearBegun({ clock, nix }, transaction, { index, missing: paths.map((_, line) => line), deleter });
  assert.deepEqual(notices, [
    `There was not enough space for all of it, so the ${count} store paths begun so far were deleted again.`,
  ]);
  assert.deepEqual(
    [(await readdir(join(store, 'nix/store'))).filter((n) => n.endsWith('-p')), waited],
    [[], 0],
  );
});
