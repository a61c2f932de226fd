/** What a hook’s end means, what it is told, and what the receipt says of it. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { hooksSchema } from '../../../src/core/policy/hooks.ts';
import {
  answerOfBefore,
  type HookEnd,
  hookEnvironment,
  hookResultOf,
  hookResultParser,
  hookText,
  withAfter,
} from '../../../src/core/run/hooks.ts';
import { anyCharacter } from '../../support/any-character.ts';

const end = (changes: Partial<HookEnd>): HookEnd => ({ exitCode: 0, timedOut: false, said: [], ...changes });

for (const [what, ended, answer] of [
  ['0 goes on', {}, { answer: 'go-on' }],
  [
    '75 is not now, in its last words',
    { exitCode: 75, said: ['a', 'the lathe runs', ' '] },
    { answer: 'not-now', detail: 'the lathe runs' },
  ],
  ['75 without words', { exitCode: 75 }, { answer: 'not-now', detail: 'it does not say why' }],
  ['79 is no way back', { exitCode: 79, said: ['migrates'] }, { answer: 'no-way-back', reason: 'migrates' }],
  [
    '79 without words',
    { exitCode: 79 },
    { answer: 'no-way-back', reason: 'hooks.before says so, and not why' },
  ],
  ['1 is a failure', { exitCode: 1, said: ['no disk'] }, { answer: 'failed', detail: 'exit 1: no disk' }],
  ['a signal', { exitCode: undefined }, { answer: 'failed', detail: 'killed by a signal' }],
  [
    'a deadline, whatever the exit code',
    { exitCode: 0, timedOut: true },
    { answer: 'failed', detail: 'it did not finish in time' },
  ],
  [
    'what could not be started',
    { exitCode: undefined, fault: 'there is no file /x' },
    { answer: 'failed', detail: 'there is no file /x' },
  ],
] as const)
  test(`of before, ${what}`, () => {
    assert.deepEqual(answerOfBefore(end(ended)), answer);
    const { ok, detail } = hookResultOf('before', end(ended));
    assert.equal(ok, answer.answer === 'go-on' || answer.answer === 'no-way-back');
    assert.equal(detail === undefined, answer.answer === 'go-on');
  });

test('75 and 79 mean nothing of the other hooks: they are failures', () => {
  for (const hook of ['after', 'rollBack'] as const)
    for (const exitCode of [75, 79]) {
      const result = hookResultOf(hook, end({ exitCode }));
      assert.deepEqual(result, { hook, ok: false, detail: `exit ${exitCode}` });
      assert.equal(hookText(result), `hooks.${hook} failed: exit ${exitCode}`);
    }
  assert.equal(hookText({ hook: 'after', ok: true }), 'hooks.after ran');
});

test('whatever a program prints, its result is bounded, printable, and read again', () => {
  const line = fc.oneof(fc.string({ unit: anyCharacter, maxLength: 500 }), fc.constant('\u001b[31m\r\u0000'));
  fc.assert(
    fc.property(
      fc.constantFrom('before', 'after', 'rollBack'),
      fc.option(fc.integer({ min: 0, max: 255 }), { nil: undefined }),
      fc.array(line, { maxLength: 50 }),
      (hook, exitCode, said) => {
        const result = hookResultOf(hook, end({ exitCode, said }));
        assert.deepEqual(hookResultParser.parse(JSON.parse(JSON.stringify(result))), result);
        assert.ok((result.said ?? []).length <= 10);
        assert.doesNotMatch(`${result.detail}${result.said?.join('')}`, /\p{Cc}/u);
      },
    ),
  );
});

test('a hook is told everything in one line each, and empty where nothing is known', () => {
  const facts = { transaction: 'abc', source: 'a\nb.tar', running: undefined, known: {} };
  const empty = hookEnvironment('before', facts);
  assert.deepEqual([empty.NIXMAKER_HOOK, empty.NIXMAKER_HOST, empty.NIXMAKER_RUNNING], ['before', '', '']);
  assert.ok(Object.values(empty).every((value) => !value.includes('\n')));
  const known = {
    ...{ host: 'web', sequence: 5, manifestDigest: 'd', operation: 'switch', code: 'health-failed' },
    ...{ toplevel: '/n', previousToplevel: '/o', targetGeneration: 3, noWayBack: 'x', detail: 'y' },
  };
  const told = hookEnvironment('rollBack', { ...facts, running: '/r', known });
  assert.deepEqual(told, {
    ...{ NIXMAKER_HOOK: 'rollBack', NIXMAKER_TRANSACTION: 'abc', NIXMAKER_SOURCE: 'a b.tar' },
    ...{ NIXMAKER_HOST: 'web', NIXMAKER_SEQUENCE: '5', NIXMAKER_RELEASE: 'd', NIXMAKER_OPERATION: 'switch' },
    ...{ NIXMAKER_TOPLEVEL: '/n', NIXMAKER_PREVIOUS: '/o', NIXMAKER_RUNNING: '/r', NIXMAKER_GENERATION: '3' },
    ...{ NIXMAKER_NO_WAY_BACK: 'x', NIXMAKER_CODE: 'health-failed', NIXMAKER_DETAIL: 'y' },
  });
  assert.equal(hookEnvironment('after', { ...facts, known }).NIXMAKER_CODE, '', 'it went well');
});

test('after is added to what is said of its run; a notice only where it failed', () => {
  const run = { hooks: [{ hook: 'before', ok: true }], notices: ['n'] } as const;
  assert.deepEqual(withAfter(run, { hook: 'after', ok: true }), {
    hooks: [...run.hooks, { hook: 'after', ok: true }],
    notices: ['n'],
  });
  assert.deepEqual(withAfter({}, { hook: 'after', ok: false, detail: 'exit 1' }).notices, [
    'hooks.after failed: exit 1. The system is installed all the same.',
  ]);
});

test('a policy names programs in full, and gives each at most an hour', () => {
  const parse = (before: unknown) => hooksSchema.safeParse({ before }).success;
  assert.deepEqual(hooksSchema.parse({ after: { command: ['/bin/a', '-x'] } }).after, {
    command: ['/bin/a', '-x'],
    timeout: 300,
  });
  assert.ok(parse({ command: ['/nix/store/x/bin/a'], timeout: 3600 }));
  for (const wrong of [
    { command: ['sh', '-c', 'x'] },
    { command: ['./a'] },
    { command: [] },
    { command: '/bin/a' },
    { command: ['/bin/a'], timeout: 3601 },
    { command: ['/bin/a'], timeout: 0 },
    { command: ['/bin/a'], shell: true },
  ])
    assert.ok(!parse(wrong), JSON.stringify(wrong));
});
