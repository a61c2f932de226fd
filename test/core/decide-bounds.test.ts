/** The decision at its bounds, with its code and its words: limits, sequences, times, windows, and what goes before what. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { allowedOperations, decide, type Facts } from '../../src/core/policy/decide.ts';
import { type Policy, policyParser } from '../../src/core/policy/policy.ts';
import { type ManifestInput, parseManifest } from '../../src/core/release/manifest.ts';
import { facts, manifestText, policy } from '../support/manifests.ts';

interface Given {
  readonly manifest?: Partial<ManifestInput>;
  readonly facts?: Partial<Facts>;
  readonly policy?: Partial<Policy>;
}

/** `code: detail`, or the verdict where it has no code. */
function said(given: Given): string {
  const manifest = parseManifest(manifestText(given.manifest));
  const verdict = decide(manifest, facts(given.facts), { ...policy, ...given.policy });
  return 'code' in verdict ? `${verdict.verdict} ${verdict.code}: ${verdict.detail}` : verdict.verdict;
}

const own = 'd'.repeat(64);
const other = 'e'.repeat(64);
const at = (sequence: number, manifestDigest = other) => ({ sequence, manifestDigest });
const limits = (changes: Partial<Policy['limits']>) => ({
  policy: { limits: { ...policy.limits, ...changes } },
});
const pending = (changes: Partial<NonNullable<Facts['pending']>>) => ({
  sequence: 7,
  manifestDigest: own,
  operation: 'boot' as const,
  restarted: false,
  ...changes,
});

const cases: readonly (readonly [string, Given, string])[] = [
  ['a bundle of just the limit', { ...limits({ bundleBytes: 10 }), facts: { bundleBytes: 10 } }, 'accept'],
  [
    'a bundle of a byte more',
    { ...limits({ bundleBytes: 10 }), facts: { bundleBytes: 11 } },
    'refuse over-limit: bundleBytes is 11 B; the policy allows 10 B',
  ],
  ['a bundle of which nobody knows how large it is', limits({ bundleBytes: 1 }), 'accept'],
  ['a path of just the limit', limits({ narBytes: 200 }), 'accept'],
  [
    'a path of a byte more',
    limits({ narBytes: 199 }),
    'refuse over-limit: narBytes is 200 B; the policy allows 199 B',
  ],
  ['a closure of just the limit', limits({ closureBytes: 300 }), 'accept'],
  [
    'a closure of a byte more',
    limits({ closureBytes: 299 }),
    'refuse over-limit: closureBytes is 300 B; the policy allows 299 B',
  ],
  ['just as many paths', limits({ paths: 3 }), 'accept'],
  ['a path too many', limits({ paths: 2 }), 'refuse over-limit: paths is 3; the policy allows 2'],
  [
    'made just so far ahead',
    { ...limits({ createdAhead: 60 }), facts: { now: '2026-11-23T11:59:00Z' } },
    'accept',
  ],
  [
    'made a second further ahead',
    { ...limits({ createdAhead: 60 }), facts: { now: '2026-11-23T11:58:59Z' } },
    'refuse created-ahead: it says it was created at 2026-11-23T12:00:00Z, but the clock says 2026-11-23T11:58:59Z; the policy allows 60 seconds',
  ],
  [
    'made ahead of a clock that must be wrong',
    { ...limits({ createdAhead: 60 }), facts: { now: '2026-01-01T00:00:00Z', clockBehind: true } },
    'accept',
  ],
  ['a jump of just the limit', { ...limits({ sequenceJump: 5 }), facts: { floor: at(2) } }, 'accept'],
  [
    'a jump of one more',
    { ...limits({ sequenceJump: 5 }), facts: { floor: at(1) } },
    'refuse sequence-jump: it has sequence 7; the policy allows at most 5 above 1',
  ],
  ['any sequence where nothing was taken', limits({ sequenceJump: 5 }), 'accept'],
  [
    'a doubted floor, before all that it says',
    { facts: { floorDoubt: 'it is gone', failedDigests: new Set([own]) } },
    'defer floor-lost: it is gone',
  ],
  [
    'one that failed, with its sequence',
    { facts: { failedDigests: new Set([own]) } },
    'refuse failed-before: sequence 7 was tried before and failed',
  ],
  ['one of which another failed', { facts: { failedDigests: new Set([other]) } }, 'accept'],
  ['just the least sequence of the policy', { policy: { minimumSequence: 7 } }, 'accept'],
  [
    'one below the least sequence of the policy, where nothing was taken',
    { policy: { minimumSequence: 8 } },
    'refuse sequence-older: it has sequence 7; the least taken here is 8',
  ],
  [
    'one below it that is signed to go below just this floor',
    { manifest: { downgradeFrom: 9 }, facts: { floor: at(9) }, policy: { minimumSequence: 8 } },
    'refuse sequence-older: it has sequence 7; the least taken here is 8',
  ],
  [
    'what is in place, though it is below it',
    { facts: { floor: at(7, own), toplevelInPlace: true }, policy: { minimumSequence: 8 } },
    'already-committed',
  ],
  [
    'an older one',
    { facts: { floor: at(9) } },
    'refuse sequence-older: it has sequence 7; this machine has taken 9',
  ],
  [
    'one signed to go below just this floor',
    { manifest: { downgradeFrom: 9 }, facts: { floor: at(9) } },
    'accept',
  ],
  [
    'one signed to go below another floor',
    { manifest: { downgradeFrom: 8 }, facts: { floor: at(9) } },
    'refuse sequence-older: it has sequence 7; this machine has taken 9',
  ],
  [
    'the one that was taken by going below this floor, in place',
    { manifest: { downgradeFrom: 9 }, facts: { floor: at(9, own), toplevelInPlace: true } },
    'already-committed',
  ],
  [
    'the same sequence otherwise',
    { facts: { floor: at(7) } },
    'refuse sequence-conflict: sequence 7 was already taken with different contents',
  ],
  [
    'the same, to be tried dry',
    { facts: { floor: at(7, own), toplevelInPlace: true, operation: 'dry-activate' } },
    'accept',
  ],
  ['the same, in place', { facts: { floor: at(7, own), toplevelInPlace: true } }, 'already-committed'],
  ['the same, not in place', { facts: { floor: at(7, own) } }, 'accept'],
  [
    'one while another waits to be confirmed',
    { facts: { pending: pending({ sequence: 5, restarted: true }) } },
    'defer unconfirmed: the machine has started sequence 5, which is not confirmed yet',
  ],
  [
    'one older than what waits for a restart',
    { facts: { pending: pending({ sequence: 8, manifestDigest: other }) } },
    'refuse sequence-older: it has sequence 7, but 8 is already installed for the next start',
  ],
  [
    'one as old as what waits',
    { facts: { pending: pending({ manifestDigest: other }) } },
    'refuse sequence-conflict: sequence 7 is already installed with different contents',
  ],
  [
    'one newer than what waits',
    { facts: { pending: pending({ sequence: 6, manifestDigest: other }) } },
    'accept',
  ],
  ['the one that waits, to be run at once', { facts: { pending: pending({}) } }, 'accept'],
  [
    'the one that waits for its switch',
    { facts: { pending: pending({ operation: 'switch' }) } },
    'already-pending',
  ],
  [
    'the one that waits, to be tried',
    { facts: { pending: pending({ operation: 'switch' }), operation: 'test' } },
    'accept',
  ],
  [
    'another host’s, before anything else',
    { manifest: { host: 'mail', system: 'aarch64-linux' } },
    'refuse wrong-host: the bundle is for mail; this machine is web',
  ],
  [
    'another kind of machine’s',
    { facts: { system: 'aarch64-linux' } },
    'refuse wrong-system: the bundle is for x86_64-linux; this machine is aarch64-linux',
  ],
  [
    'one bound to the machine that the policy names, whatever /etc says',
    {
      manifest: { machineId: 'a'.repeat(32) },
      policy: { machineId: 'a'.repeat(32) },
      facts: { machineId: 'b'.repeat(32) },
    },
    'accept',
  ],
  [
    'one bound to another than the policy names',
    {
      manifest: { machineId: 'b'.repeat(32) },
      policy: { machineId: 'a'.repeat(32) },
      facts: { machineId: 'b'.repeat(32) },
    },
    `refuse wrong-machine: the bundle is bound to machine id ${'b'.repeat(32)}`,
  ],
  ['one bound to none', { policy: { machineId: 'a'.repeat(32) } }, 'accept'],
  [
    'an operation that is not allowed',
    { facts: { operation: 'test' }, policy: { operations: ['boot'] } },
    'refuse operation-forbidden: test was requested; the policy allows switch, boot',
  ],
  [
    'one signed by too few',
    { facts: { signedBy: [] } },
    'refuse key-not-valid: 0 of 1 required keys are valid at 2026-11-24T00:00:00Z',
  ],
];

for (const [what, given, wanted] of cases)
  test(`${what}: ${wanted.split(':')[0]}`, () => {
    assert.equal(said(given), wanted);
  });

const night = policyParser.parse({
  ...{ schema: 1, host: 'web', operation: 'switch', trustedKeys: ['k:x'] },
  window: { from: '02:00', to: '03:00' },
});

test('the window holds for what nobody has asked for, and by a clock that can be right', () => {
  const of = (changes: Partial<Facts>) => said({ policy: night, facts: changes });
  assert.equal(of({ now: '2026-11-24T02:00:00Z' }), 'accept');
  assert.equal(of({ now: '2026-11-24T02:59:59Z' }), 'accept');
  assert.equal(
    of({ now: '2026-11-24T03:00:00Z' }),
    'defer outside-window: the window opens at 2026-11-25T02:00:00.000Z',
  );
  assert.equal(of({ now: '2026-11-24T03:00:00Z', unattended: false }), 'accept');
  assert.match(
    of({ now: '2026-11-24T02:00:00Z', clockBehind: true }),
    /^defer outside-window: the clock is behind the newest signed time seen \(2026-11-24T02:00:00Z\)/,
  );
});

test('what would be refused anyway is refused at once, and not when the window opens', () => {
  assert.match(
    said({ policy: { ...night, host: 'mail' }, facts: { now: '2026-11-24T12:00:00Z' } }),
    /^refuse wrong-host/,
  );
});

test('what may be asked for by hand: the policy’s own operation first, and each once', () => {
  assert.deepEqual(allowedOperations(policy), ['switch', 'boot', 'test', 'dry-activate']);
  assert.deepEqual(allowedOperations({ ...policy, operation: 'boot' }), ['boot', 'test', 'dry-activate']);
  assert.deepEqual(allowedOperations({ ...policy, operations: ['test', 'switch'] }), ['switch', 'test']);
});
