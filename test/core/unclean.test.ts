import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type ImportTrace, importWasCutOff } from '../../src/core/unclean.ts';

const line = (transaction: string, state: ImportTrace['state'], bootId = 'earlier'): ImportTrace => ({
  transaction,
  state,
  bootId,
});

for (const [what, records, expected] of [
  ['nothing has happened yet', [], false],
  ['an import of an earlier boot was never recorded as done', [line('a', 'accepted')], true],
  ['it was recorded as forgotten since', [line('a', 'accepted'), line('a', 'deferred')], true],
  ['it was done', [line('a', 'accepted'), line('a', 'imported')], false],
  ['it was killed in this very boot, with the power on', [line('a', 'accepted', 'this')], false],
  [
    'another import has been done since, after looking',
    [line('a', 'accepted'), line('b', 'accepted', 'this'), line('b', 'imported', 'this')],
    false,
  ],
  ['two were cut off', [line('a', 'accepted'), line('b', 'accepted')], true],
  ['a run was refused before it began to import', [line('a', 'discovered'), line('a', 'refused')], false],
] satisfies [string, ImportTrace[], boolean][]) {
  test(`${what}: the store is ${expected ? '' : 'not '}looked at`, () => {
    assert.equal(importWasCutOff(records, 'this'), expected);
  });
}
