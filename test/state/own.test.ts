import assert from 'node:assert/strict';
import { test } from 'node:test';
import { asOurFault } from '../../src/state/own.ts';

test('what is ours and can’t be read makes the run wait; what something else says stays as it is', () => {
  const refused = Object.assign(new Error('EACCES: permission denied, open journal'), { code: 'EACCES' });
  assert.throws(() => asOurFault(refused), {
    code: 'state-unreadable',
    detail: 'EACCES: permission denied, open journal',
  });
  const wrongKind = Object.assign(new Error('a link'), { code: 'ELOOP' });
  assert.throws(
    () => asOurFault(wrongKind),
    (error) => error === wrongKind,
  );
});
