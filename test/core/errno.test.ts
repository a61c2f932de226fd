import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { hasErrno, ifMissing, insteadOf, isMissing } from '../../src/core/errno.ts';

const nowhere = () => readFile('/nowhere/at/all');

test('an error of the system is told by its code, and anything else is none', async () => {
  const error: unknown = await nowhere().catch((e: unknown) => e);
  assert.equal(hasErrno(error, 'ENOTDIR', 'ENOENT'), true);
  assert.equal(hasErrno(error, 'EEXIST'), false);
  assert.equal(isMissing(error), true);
  for (const other of [undefined, null, 'ENOENT', new Error('ENOENT'), { code: 2 }])
    assert.equal(isMissing(other), false);
});

test('a value stands for the answers that were expected; others are thrown on', async () => {
  assert.equal(await nowhere().catch(ifMissing('none')), 'none');
  await assert.rejects(nowhere().catch(insteadOf(['EACCES'], 'none')), { code: 'ENOENT' });
});
