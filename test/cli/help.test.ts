/** Help fits a terminal of 80 columns, has two examples of each verb, and names only what is for people. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Command, CommanderError } from 'commander';
import { examples } from '../../src/cli/help/examples.ts';
import { groups, wordsOf } from '../../src/cli/help/help.ts';
import { makeProgram } from '../../src/cli/program.ts';
import { exitCodes } from '../../src/core/errors.ts';
import { main } from '../machines/compiled.ts';
import { run } from '../machines/program.ts';

const nixmaker = (...args: string[]) => run(process.execPath, [main, ...args]);

const isShown = (command: Command) => !(command as unknown as { readonly _hidden: boolean })._hidden;
const below = (command: Command): Command[] =>
  command.commands.filter(isShown).flatMap((c) => [c, ...below(c)]);
const program = await makeProgram('');
const shown = below(program);
const hidden = program.commands.filter((c) => !isShown(c) && c.name() !== 'help');

/** What `nixmaker help VERB` prints, without a start for each: the last test has starts print the same. */
async function helpOf(words: readonly string[]): Promise<string> {
  let text = '';
  const all = await makeProgram('', 'help');
  const withAll = (command: Command): Command[] => [command, ...command.commands.flatMap(withAll)];
  for (const command of withAll(all))
    command.configureOutput({ writeOut: (more) => (text += more), writeErr: assert.fail });
  await assert.rejects(
    all.parseAsync(['help', ...words], { from: 'user' }),
    (end: unknown) => end instanceof CommanderError && end.exitCode === 0,
    words.join(' '),
  );
  return text;
}

const tooLong = (text: string) => text.split('\n').filter((line) => [...line].length > 80);

test('nixmaker --help has each verb on one line, by where it is used, and the exit codes', async () => {
  const { code, stdout } = await nixmaker('--help');
  assert.equal(code, 0);
  assert.deepEqual(tooLong(stdout), []);
  const heads = [...stdout.matchAll(/^([A-Z]\w+):$/gm)].map(([, head]) => head);
  assert.deepEqual(heads, ['Options', ...groups]);
  assert.match(stdout, /^Exit codes:\n/m);
  for (const exit of Object.values(exitCodes)) assert.match(stdout, new RegExp(`^ +${exit} {2}\\S`, 'm'));
  for (const verb of program.commands.filter(isShown)) {
    const line = new RegExp(`^  ${verb.name()} +\\S.*$`, 'm').exec(stdout)?.[0] ?? '';
    assert.notEqual(line, '', verb.name());
    assert.ok(line.endsWith(verb.summary() || verb.description()), `${verb.name()} goes on below its line`);
  }
  assert.ok(hidden.length > 4);
  for (const verb of hidden) assert.doesNotMatch(stdout, new RegExp(`^  ${verb.name()}\\b`, 'm'));
});

test('the help of each verb fits as well, and has two examples that name it', async () => {
  for (const verb of shown) {
    const words = wordsOf(verb);
    const text = await helpOf(words);
    assert.deepEqual(tooLong(text), [], words.join(' '));
    assert.doesNotMatch(text, /default: \[\]|default: false/, words.join(' '));
    if (verb.commands.length > 0) continue;
    const calls = text.match(/^ {2}nixmaker .*$/gm) ?? [];
    assert.equal(calls.length, 2, words.join(' '));
    const named = verb.name() === 'show' && calls.every((call) => !call.includes(' show '));
    const begins = `  nixmaker ${(named ? words.slice(0, -1) : words).join(' ')}`;
    for (const call of calls) assert.ok(`${call} `.startsWith(`${begins} `), call);
  }
  assert.deepEqual(
    Object.keys(examples).filter((name) => !shown.some((verb) => wordsOf(verb).join(' ') === name)),
    [],
  );
});

test('nixmaker help VERB is VERB --help, and a mistyped verb is told with what was meant', async () => {
  assert.equal((await nixmaker('help')).stdout, (await nixmaker('--help')).stdout);
  for (const words of [['put'], ['keyring', 'sign']]) {
    const { code, stdout } = await nixmaker('help', ...words);
    assert.deepEqual([code, stdout], [0, await helpOf(words)]);
    assert.equal((await nixmaker(...words, '--help')).stdout, stdout);
  }
  const wrong = await nixmaker('help', 'bild');
  assert.deepEqual([wrong.code, wrong.stdout], [64, '']);
  assert.match(wrong.stderr, /Did you mean build\?/);
});
