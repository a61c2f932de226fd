import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, type Facts, type Verdict } from '../../src/core/policy/decide.ts';
import type { Policy } from '../../src/core/policy/policy.ts';
import { type ManifestInput, parseManifest } from '../../src/core/release/manifest.ts';
import { facts, manifestText, policy } from '../support/manifests.ts';

interface Case {
  readonly manifest?: Partial<ManifestInput>;
  readonly facts?: Partial<Facts>;
  readonly policy?: Partial<Policy>;
}

const judge = (given: Case): Verdict =>
  decide(parseManifest(manifestText(given.manifest)), facts(given.facts), { ...policy, ...given.policy });
const codeOf = (verdict: Verdict) => (verdict.verdict === 'refuse' ? verdict.code : verdict.verdict);
const detailOf = (verdict: Verdict) => ('detail' in verdict ? verdict.detail : '');

const digest = 'd'.repeat(64);
const floor = (sequence: number, manifestDigest = digest) => ({ sequence, manifestDigest });

for (const [behaviour, given, expected, detail] of [
  ['a bundle for this host is accepted', {}, 'accept'],
  [
    'a bundle for another host is refused',
    { policy: { host: 'mail' } },
    'wrong-host',
    /^the bundle is for web; this machine is mail$/,
  ],
  [
    'a bundle for another processor is refused',
    { facts: { system: 'aarch64-linux' } },
    'wrong-system',
    /^the bundle is for x86_64-linux; this machine is aarch64-linux$/,
  ],
  [
    'a bundle bound to another machine is refused',
    { manifest: { machineId: 'a'.repeat(32) }, facts: { machineId: 'b'.repeat(32) } },
    'wrong-machine',
    /^the bundle is bound to machine id a{32}$/,
  ],
  [
    'a bundle bound to a machine is refused where the machine has no id',
    { manifest: { machineId: 'a'.repeat(32) } },
    'wrong-machine',
    /machine id a{32}$/,
  ],
  [
    'a bundle bound to this machine is accepted',
    { manifest: { machineId: 'a'.repeat(32) }, facts: { machineId: 'a'.repeat(32) } },
    'accept',
  ],
  [
    'a bundle is accepted until the second it expires',
    { manifest: { expiresAt: '2026-11-24T00:00:01Z' } },
    'accept',
  ],
  [
    'a bundle is refused from the second it expires',
    { manifest: { expiresAt: '2026-11-24T00:00:00Z' } },
    'expired',
    /^it expired at 2026-11-24T00:00:00Z; it is now 2026-11-24T00:00:00Z$/,
  ],
  [
    'an older bundle is refused',
    { facts: { floor: floor(8) } },
    'sequence-older',
    /^it has sequence 7; this machine has taken 8$/,
  ],
  ['a newer bundle is accepted', { facts: { floor: floor(6) } }, 'accept'],
  [
    'the same bundle in place is a quiet success',
    { facts: { floor: floor(7), toplevelInPlace: true } },
    'already-committed',
  ],
  ['the same bundle is put back where something else is in place', { facts: { floor: floor(7) } }, 'accept'],
  [
    'the same sequence with other contents is an alarm',
    { facts: { floor: floor(7, 'e'.repeat(64)), toplevelInPlace: true } },
    'sequence-conflict',
    /^sequence 7 was already taken with different contents$/,
  ],
  [
    'a bundle that failed is not tried again',
    { facts: { failedDigests: new Set([digest]) } },
    'failed-before',
    /^sequence 7 was tried before and failed$/,
  ],
  [
    'an operation the policy does not list is refused',
    { facts: { operation: 'test' }, policy: { operations: ['switch'] } },
    'operation-forbidden',
    /^test was requested; the policy allows switch$/,
  ],
  [
    'without a list, a boot policy does not allow switching',
    { facts: { operation: 'switch' }, policy: { operation: 'boot' } },
    'operation-forbidden',
    /^switch was requested; the policy allows boot, test, dry-activate$/,
  ],
  ['without a list, trying out is allowed', { facts: { operation: 'test' } }, 'accept'],
  [
    'the same bundle may be tried out again',
    { facts: { operation: 'test', floor: floor(7), toplevelInPlace: true } },
    'accept',
  ],
] satisfies [string, Case, string, RegExp?][]) {
  test(behaviour, () => {
    assert.equal(codeOf(judge(given)), expected);
    assert.match(detailOf(judge(given)), detail ?? /^$/);
  });
}

test('a system that waits for a restart holds the place of a floor', () => {
  const waiting = (changes = {}) =>
    facts({
      pending: {
        sequence: 7,
        manifestDigest: 'd'.repeat(64),
        operation: 'boot',
        restarted: false,
        ...changes,
      },
      operation: 'boot',
    });
  const of = (sequence: number, known: Facts) =>
    decide(parseManifest(manifestText({ sequence })), known, {
      ...policy,
      operation: 'boot',
      operations: ['switch'],
    });
  assert.deepEqual(of(7, waiting()), { verdict: 'already-pending' });
  assert.deepEqual(of(8, { ...waiting(), manifestDigest: 'f'.repeat(64) }), { verdict: 'accept' });
  assert.deepEqual(of(7, { ...waiting(), operation: 'switch' }), { verdict: 'accept' }, 'to run it at once');
  assert.deepEqual(of(7, { ...waiting({ operation: 'switch' }), operation: 'switch' }), {
    verdict: 'already-pending',
  });
  const older = of(6, { ...waiting(), manifestDigest: 'f'.repeat(64) });
  assert.deepEqual(
    [codeOf(older), detailOf(older)],
    ['sequence-older', 'it has sequence 6, but 7 is already installed for the next start'],
  );
  const other = of(7, waiting({ manifestDigest: 'e'.repeat(64) }));
  assert.deepEqual(
    [codeOf(other), detailOf(other)],
    ['sequence-conflict', 'sequence 7 is already installed with different contents'],
  );
  for (const sequence of [6, 7, 8]) {
    const early = of(sequence, waiting({ restarted: true }));
    // Nothing new before it is judged.
    assert.deepEqual(early, {
      verdict: 'defer',
      code: 'unconfirmed',
      detail: 'the machine has started sequence 7, which is not confirmed yet',
    });
  }
});
