/** Slow files take turns, and none is ever forgotten. */
import assert from 'node:assert/strict';
import { globSync } from 'node:fs';
import { test } from 'node:test';
import { isItsTurn, turns } from '../support/cases.ts';
import { filesOfRun, slowFiles, slowMachines } from '../support/slow-files.ts';

const everyTurn = Array.from({ length: turns }, (_, turn) => String(turn));

test('every slow file is there, and named once', () => {
  const there = globSync('test/**/*.{test,vm}.ts');
  const named = [...slowFiles, ...slowMachines];
  assert.deepEqual(
    named.filter((file) => !there.includes(file)),
    [],
  );
  assert.equal(new Set(named).size, named.length);
});

test('over all turns each slow file runs once, and every other file each time', () => {
  const all = [...slowFiles, ...slowMachines, 'test/core/any.test.ts'];
  const ran = everyTurn.flatMap((turn) => filesOfRun(all, turn));
  for (const file of all) {
    const times = file === 'test/core/any.test.ts' ? turns : 1;
    assert.equal(ran.filter((r) => r === file).length, times, file);
  }
  assert.deepEqual(filesOfRun(all, 'all'), all);
});

test('a number has its turn in one run of each round', () => {
  for (let i = 0; i < 10; i++) assert.equal(everyTurn.filter((turn) => isItsTurn(i, turn)).length, 1);
});
