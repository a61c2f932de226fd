/** Whether another nixmaker would follow the agent that runs. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type OwnUnit, parseOwnUnit, programAfter } from '../../../src/core/run/own-unit.ts';

const store = (name: string) => `/nix/store/${name}-nixmaker/bin/nixmaker`;
const told = (program: string, { restart = 'always', invocation = 'a1', more = ' agent' } = {}) =>
  `Restart=${restart}\nExecStart={ path=${program} ; argv[]=${program}${more} ; ignore_errors=no ; start_time=[Sun 2026-11-29 02:00:00 UTC] ; stop_time=[n/a] ; pid=12 ; code=(null) ; status=0/0 }\nInvocationID=${invocation}\n`;
const read = (...args: Parameters<typeof told>) => {
  const unit = parseOwnUnit(told(...args));
  assert.ok(unit !== undefined);
  return unit;
};
const first = read(store('old'));
/** With a policy and settings. */
const started = (unit: OwnUnit | undefined, configuration = 'one') => unit && { ...unit, configuration };
const atStart = { ...first, configuration: 'one' };

test('what is told of the last start is no part of what would be started', () => {
  const later = parseOwnUnit(told(store('old')).replaceAll(/pid=12|\[n\/a\]/g, 'pid=0'));
  assert.deepEqual(later, first);
  assert.deepEqual(first, {
    ...{ invocation: 'a1', restart: 'always' },
    ...{ program: store('old'), command: `${store('old')} agent` },
  });
});

for (const [what, text] of [
  ['a unit whose file is gone', 'Restart=no\nInvocationID=a1\n'],
  ['a unit that has not been started', told('/usr/bin/nixmaker').replace('=a1', '=')],
  ['nothing', ''],
  ['another form', told('/usr/bin/nixmaker').replace('path=', 'executable=')],
] as const)
  test(`of ${what} nothing is concluded`, () => {
    assert.equal(parseOwnUnit(text), undefined);
    assert.equal(programAfter(atStart, started(parseOwnUnit(text)), 'a1'), undefined);
  });

for (const [what, now, next] of [
  ['the same', read(store('old')), undefined],
  ['another program', read(store('new')), store('new')],
  ['other arguments', read(store('old'), { more: ' agent --verbose' }), store('old')],
  [
    'another program, by a unit that starts nothing again',
    read(store('new'), { restart: 'on-failure' }),
    undefined,
  ],
  ['another program, of a unit that is not ours', read(store('new'), { invocation: 'b2' }), undefined],
] as const)
  test(`${what}: ${next ?? 'stays'}`, () => {
    assert.equal(programAfter(atStart, started(now), 'a1'), next);
  });

test('an agent that was started by hand is followed by nobody', () => {
  assert.equal(programAfter(atStart, started(read(store('new'))), undefined), undefined);
});

test('another policy, or other settings, are taken up by the same program started again', () => {
  assert.equal(programAfter(atStart, started(first, 'two'), 'a1'), store('old'));
  assert.equal(programAfter(atStart, started(first, 'one'), 'a1'), undefined);
});
