/** What a switch came to, by its exit code and its words; and which of those say why. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  classifySwitch,
  failedCheck,
  reasonIn,
  type SwitchEnd,
} from '../../../src/core/run/switch-outcome.ts';

const ended = (changes: Partial<SwitchEnd>) =>
  classifySwitch({ exitCode: 0, timedOut: false, said: [], ...changes });

/** Exit codes that mean something of their own (nixpkgs, switch-to-configuration-ng); all others are one. */
const meanings: Readonly<Record<number, string>> = {
  ...{ 0: 'done', 2: 'activation-script-failed', 4: 'units-failed', 100: 'reboot-needed', 101: 'crashed' },
};

test('every exit code has its meaning, and what hangs or has none is told as that', () => {
  for (let exitCode = 0; exitCode < 256; exitCode++) {
    assert.equal(ended({ exitCode }), meanings[exitCode] ?? 'not-finished', String(exitCode));
    assert.equal(ended({ exitCode, timedOut: true }), 'hung');
  }
  assert.equal(ended({ exitCode: undefined }), 'crashed');
});

test('two codes are told apart by what was said', () => {
  for (const line of ['Could not acquire lock', 'could not acquire lock: busy'])
    assert.equal(ended({ exitCode: 11, said: ['x', line] }), 'lock-held');
  assert.equal(ended({ exitCode: 11, said: ['it could not acquire lock'] }), 'not-finished');
  for (const line of ['Failed to run activate script', "Activation script snippet 'etc' failed (1)"])
    assert.equal(ended({ exitCode: 4, said: [line, 'x'] }), 'activation-script-failed');
  assert.equal(ended({ exitCode: 4, said: ['Failed to start x.service'] }), 'units-failed');
});

test('the line that says why is the cause before its effects, or else the last', () => {
  const said = [
    ...['starting', 'error: e', 'warning: the following units failed: x', 'Unable to y', 'Failed to z'],
    ...["Activation script snippet 'etc' failed (1)", "Pre-switch check 'disk' failed", 'the end'],
  ];
  const causes = [6, 5, 4, 3, 2, 1, 7].map((i) => said[i]);
  for (const [n, cause] of causes.entries()) {
    const left = said.filter((line) => !causes.slice(0, n).includes(line));
    assert.equal(reasonIn(left), cause);
  }
  assert.equal(
    reasonIn(['warning: the following user units failed: x', 'y']),
    'warning: the following user units failed: x',
  );
  assert.equal(reasonIn(['Error: x', 'y']), 'Error: x');
  assert.equal(reasonIn([]), undefined);
});

test('the check that said no is named by the first line that names one', () => {
  assert.equal(failedCheck(['x', "Pre-switch check 'a' failed", "Pre-switch check 'b' failed"]), 'a');
  assert.equal(failedCheck(["the Pre-switch check 'a' failed"]), undefined);
  assert.equal(failedCheck([]), undefined);
});
