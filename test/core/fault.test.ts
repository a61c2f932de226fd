/** What the operating system answers is told in words, and only what nobody expected is a fault of ours. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NixmakerError } from '../../src/core/errors.ts';
import { faultOf } from '../../src/core/fault.ts';

const answer = (code: string, path?: string) =>
  Object.assign(
    new Error(`${code}: so it is`),
    { code, errno: -1, syscall: 'open' },
    path === undefined ? {} : { path },
  );

test('the system’s answers have codes and words of their own, with the name', () => {
  for (const [errno, code, detail] of [
    ['ENOENT', 'no-such-file', /^\/x: no such file or folder$/],
    ['EISDIR', 'no-such-file', /^\/x: this is a folder$/],
    ['EACCES', 'no-access', /^\/x: permission denied$/],
    ['EROFS', 'no-access', /^\/x: the file system is read-only$/],
    ['ENOSPC', 'no-space', /^\/x: no space left$/],
    ['EIO', 'io-error', /^EIO: so it is$/],
  ] as const) {
    const fault = faultOf(answer(errno, '/x'));
    assert.equal(fault.code, code);
    assert.match(fault.detail, detail);
  }
  assert.deepEqual(faultOf(answer('ENOSPC')), { code: 'no-space', detail: 'no space left' });
});

test('what was found out already stays, but where it is only that a file could not be read', () => {
  const cause = answer('ENOENT', '/x');
  assert.equal(faultOf(new NixmakerError('io-error', 'y', { cause })).code, 'no-such-file');
  assert.deepEqual(faultOf(new NixmakerError('medium-failing', 'y', { cause })), {
    code: 'medium-failing',
    detail: 'y',
  });
  assert.deepEqual(faultOf(new NixmakerError('io-error', 'y')), { code: 'io-error', detail: 'y' });
  // Of Node.js, about an argument of ours.
  for (const error of [new TypeError('z'), Object.assign(new Error('z'), { code: 'ERR_INVALID_ARG_TYPE' })])
    assert.deepEqual(faultOf(error), { code: 'internal', detail: 'z' });
  assert.equal(faultOf('a\nb\u001b').detail, 'a b\\u001b');
});

test('of what is no answer of the system nothing is concluded, though it bears one’s name', () => {
  for (const cause of [{ code: 'ENOENT' }, Object.assign(new Error('x'), { code: 'ENOENT' }), undefined])
    assert.deepEqual(faultOf(new NixmakerError('io-error', 'y', { cause })), {
      code: 'io-error',
      detail: 'y',
    });
  const half = Object.assign(new Error('x'), { code: 'ENOENT', errno: -2 });
  assert.equal(faultOf(half).code, 'internal');
  // A write to a file that is open has no name: what was being done says more.
  const unnamed = new NixmakerError('io-error', 'the report could not be written', {
    cause: answer('ENOSPC'),
  });
  assert.deepEqual(faultOf(unnamed), { code: 'no-space', detail: 'the report could not be written' });
});
