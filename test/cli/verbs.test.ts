/** Verbs are loaded by name: the names are those that they define. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Command } from 'commander';
import { makeProgram } from '../../src/cli/program.ts';
import { unitVerbs, verbGroups } from '../../src/cli/verbs.ts';

const namesOf = ({ commands }: Command) => commands.map((command) => command.name());
const all = namesOf(await makeProgram(''));

test('each verb is defined by what its name loads', async () => {
  const loads = [...verbGroups.map(({ verbs }) => verbs), unitVerbs].flatMap((verbs) =>
    Object.entries(verbs),
  );
  const names = loads.map(([name]) => name);
  assert.deepEqual(names, [...new Set(names)]);
  assert.deepEqual([...names, 'help'].sort(), all.toSorted());
  const byLoad = Map.groupBy(loads, ([, load]) => load);
  for (const [load, named] of byLoad) {
    const program = new Command();
    (await load())(program);
    assert.deepEqual(
      namesOf(program),
      named.map(([name]) => name),
    );
  }
});

test('a call defines its own verb, any other word all of them', async () => {
  assert.deepEqual(namesOf(await makeProgram('', 'verify')), ['verify', 'help']);
  assert.deepEqual(namesOf(await makeProgram('', 'activate')), ['activate', 'help']);
  for (const word of ['', '--help', 'help', 'verfiy', 'constructor', '__proto__'])
    assert.deepEqual(namesOf(await makeProgram('', word)), all, word);
});

test('a verb looks the same alone and among all', async () => {
  const program = await makeProgram('');
  for (const command of program.commands) {
    const alone = (await makeProgram('', command.name())).commands.find(
      (other) => other.name() === command.name(),
    );
    assert.equal(alone?.helpInformation(), command.helpInformation(), command.name());
  }
});
