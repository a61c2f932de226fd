/** What Nix’s own words are taken for, and what is told of them. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { CommandOptions, CommandResult } from '../../src/core/ports.ts';
import { nix } from '../../src/nix/command.ts';
import { failureFor, fromLine } from '../../src/nix/failure.ts';
import { listRegisteredSince } from '../../src/nix/path-info.ts';

for (const [said, code, detail] of [
  [
    ['error: cannot add path ‘x’ because it lacks a signature by a trusted key'],
    'nix-key-untrusted',
    /^cannot add path .* trusted key$/,
  ],
  [
    ['error: writing to file: No space left on device'],
    'no-space',
    /^writing to file: No space left on device$/,
  ],
  [['error: executing SQLite statement: database or disk is full'], 'no-space', /disk is full$/],
  [['warning: x', 'error: Disk quota exceeded', 'trace'], 'no-space', /^Disk quota exceeded$/],
  [["error: cannot connect to socket at '/x': Connection refused"], 'nix-unavailable', /^cannot connect/],
  [['error: Nix daemon disconnected unexpectedly'], 'nix-unavailable', /^Nix daemon disconnected/],
  [['\u001b[31;1merror:\u001b[0m builder failed', ''], 'build-failed', /^builder failed$/],
  [['no word of error'], 'build-failed', /^no word of error$/],
  [[], 'build-failed', /^Nix gave no reason$/],
] as const)
  test(`Nix says ${JSON.stringify(said)}: ${code}`, () => {
    const error = failureFor(said.map(fromLine), 'build-failed');
    assert.equal(error.code, code);
    assert.match(error.detail, detail);
  });

const result: CommandResult = {
  ...{ exitCode: 1, stdout: '', stderrTail: [], timedOut: false, startError: undefined },
};

test('a Nix that can’t be started, or does not end, is told from one that says no', async () => {
  const asking = (changes: Partial<CommandResult>) =>
    nix({ run: async () => ({ ...result, ...changes }) }, ['x'], { failure: 'evaluation-failed' });
  await assert.rejects(asking({ exitCode: undefined, startError: 'ENOENT' }), {
    code: 'nix-unavailable',
    detail: 'cannot start nix: ENOENT',
  });
  await assert.rejects(asking({ exitCode: undefined, timedOut: true }), {
    code: 'evaluation-failed',
    detail: 'Nix did not finish in time',
  });
  await assert.rejects(asking({}), { code: 'evaluation-failed', detail: 'nix exited with 1' });
  assert.equal(await asking({ exitCode: 0, stdout: 'yes' }), 'yes');
});

test('a Nix that knows no formats of path-info is asked without, and not twice', async () => {
  const asked: string[] = [];
  const run = async (_: string, args: readonly string[], { onStderrLine }: CommandOptions = {}) => {
    asked.push(args.filter((arg) => arg.startsWith('--json')).join(' '));
    if (!args.includes('--json-format')) return { ...result, exitCode: 0, stdout: '{}' };
    onStderrLine?.(
      '@nix {"action":"msg","level":0,"msg":"error: unrecognised flag \'--json-format\'","raw_msg":"unrecognised flag \'--json-format\'"}',
    );
    return result;
  };
  for (const _ of [1, 2]) assert.deepEqual(await listRegisteredSince({ run }, 0), []);
  assert.deepEqual(asked, ['--json --json-format', '--json', '--json']);
});
