/** What `check-policy` says of damage that is looked for, and repaired. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { explainPolicy } from '../../src/core/policy/explain.ts';
import { policyParser } from '../../src/core/policy/policy.ts';

const said = (repair: string): string[] =>
  explainPolicy(
    policyParser.parse({ schema: 1, host: 'web', operation: 'switch', trustedKeys: ['build-1:x'], repair }),
  ).filter((sentence) => /damage/.test(sentence));

test('each way to look for damage has its sentence', () => {
  const read =
    'Once a week, the contents of this machine’s systems are read; damage is told in receipts and by `doctor`';
  assert.deepEqual(said('never'), ['nixmaker never reads through the store by itself to find damage.']);
  assert.deepEqual(said('report'), [`${read}.`]);
  assert.deepEqual(said('automatic'), [`${read}, and repaired from any trusted bundle at hand.`]);
});
