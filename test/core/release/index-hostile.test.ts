/** What the fuzzer found in the reader of an index. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ReleaseIndex } from '../../../src/core/release/index-file.ts';
import { encodeIndex } from '../../../src/core/release/write-index.ts';
import { digits, indexedPath, storePathOf } from '../../support/releases.ts';

const { text } = encodeIndex(
  [indexedPath(9, [5, 9]), indexedPath(5, [2, 1]), indexedPath(2), indexedPath(1)],
  storePathOf(9),
);

for (const [what, changed, detail] of [
  [
    'a reference that can’t be compared',
    text.replace('[0,1]', '[{"valueOf":0,"toString":0}]'),
    /line 3: its references are not ascending numbers/,
  ],
  [
    'a path twice, at two depths',
    text.replace(`${digits(5, 32)}-p5`, `${digits(9, 32)}-p9`),
    /line 4: another line has the same path or hash part/,
  ],
  [
    'two paths of one hash',
    text.replace(digits(5, 32), digits(1, 32)),
    /line 3: another line has the same path or hash part/,
  ],
] as const)
  test(`an index with ${what} is refused`, () => {
    assert.notEqual(changed, text);
    assert.throws(() => ReleaseIndex.parse(Buffer.from(changed), storePathOf(9)), {
      code: 'manifest-malformed',
      detail,
    });
  });
