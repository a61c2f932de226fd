/** What is decided while a release is staged: on others, and on itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, type Facts } from '../../src/core/policy/decide.ts';
import { explainPolicy } from '../../src/core/policy/explain.ts';
import { policyParser } from '../../src/core/policy/policy.ts';
import { stagingWait, toStage } from '../../src/core/policy/stage.ts';
import { type ManifestInput, parseManifest } from '../../src/core/release/manifest.ts';
import { facts, manifestText, policy } from '../support/manifests.ts';

interface Given {
  readonly manifest?: Partial<ManifestInput>;
  readonly facts?: Partial<Facts>;
}

/** `code: detail`, or the verdict where it has no code. */
function said(given: Given): string {
  const verdict = decide(parseManifest(manifestText(given.manifest)), facts(given.facts), policy);
  return 'code' in verdict ? `${verdict.verdict} ${verdict.code}: ${verdict.detail}` : verdict.verdict;
}

const own = 'd'.repeat(64);
const other = 'e'.repeat(64);
const at = (sequence: number, manifestDigest = other) => ({ sequence, manifestDigest });
const unconfirmed = { ...at(6, own), operation: 'boot' as const, restarted: true };
const staged = (changes: Partial<NonNullable<Facts['staged']>>) => ({
  ...{ sequence: 7, manifestDigest: own, since: '2026-11-01T00:00:00Z' },
  ...changes,
});

const cases: readonly (readonly [string, Given, string])[] = [
  ['the one that is staged', { facts: { staged: staged({}) } }, 'already-staged'],
  [
    'the one that is staged, while another one waits to be confirmed',
    { facts: { staged: staged({}), pending: unconfirmed } },
    'already-staged',
  ],
  ['the one that is staged, by hand', { facts: { staged: staged({}), unattended: false } }, 'accept'],
  [
    'one newer than what is staged',
    { facts: { staged: staged({ sequence: 6, manifestDigest: other }) } },
    'accept',
  ],
  [
    'one older than what is staged',
    { facts: { staged: staged({ sequence: 8, manifestDigest: other }) } },
    'refuse sequence-older: it has sequence 7, but 8 is already staged',
  ],
  [
    'one older than what is staged, by hand',
    { facts: { staged: staged({ sequence: 8, manifestDigest: other }), unattended: false } },
    'accept',
  ],
  [
    'one like what is staged, with other contents',
    { facts: { staged: staged({ manifestDigest: other }) } },
    'refuse sequence-conflict: sequence 7 is already staged with different contents',
  ],
  [
    'a downgrade from just the floor, where something newer is staged',
    {
      manifest: { downgradeFrom: 9 },
      facts: { floor: at(9), staged: staged({ sequence: 10, manifestDigest: other }) },
    },
    'accept',
  ],
  [
    'what was staged just as long as the policy allows',
    { facts: { staged: staged({ since: '2026-08-26T00:00:00Z' }), isStaged: true } },
    'accept',
  ],
  [
    'what was staged a second longer',
    { facts: { staged: staged({ since: '2026-08-25T23:59:59Z' }), isStaged: true } },
    'refuse staged-too-long: sequence 7 was staged at 2026-08-25T23:59:59Z; it is now 2026-11-24T00:00:00Z, and the policy allows 90 days',
  ],
  [
    'what was staged too long ago, by a clock that must be wrong',
    { facts: { staged: staged({ since: '2025-08-25T00:00:00Z' }), isStaged: true, clockBehind: true } },
    'accept',
  ],
];

for (const [what, given, wanted] of cases)
  test(`${what}: ${wanted.split(':')[0]}`, () => {
    assert.equal(said(given), wanted);
  });

test('what waits for a time, a person or a confirmation is staged; what waits for something that is wrong is not', () => {
  const of = (code: string, unattended = true) =>
    toStage(policy, { verdict: 'defer', code, detail: 'x' }, { unattended })?.code;
  for (const code of ['outside-window', 'not-approved', 'not-now', 'hook-failed', 'unconfirmed']) {
    assert.equal(of(code), code);
    assert.equal(of(code, false), undefined, 'a person is there');
  }
  for (const code of ['floor-lost', 'held-lost', 'no-space', 'interrupted', 'new'])
    assert.equal(of(code), undefined);
  assert.equal(toStage(policy, { verdict: 'accept' }, { unattended: true }), undefined);
  const never = policyParser.parse({ ...policy, stage: { allow: false } });
  assert.equal(stagingWait(never, { code: 'outside-window', detail: 'x' }), undefined);
});

test('a policy says in words what becomes of a bundle that has to wait', () => {
  const says = (stage: object) => explainPolicy(policyParser.parse({ ...policy, stage })).join('\n');
  assert.match(
    says({ allow: false }),
    /^A bundle that has to wait stays where it is until its time comes\.$/m,
  );
  assert.match(says({ days: 7 }), /so its medium may be removed\. It is dropped after 7 days\.$/m);
  assert.match(says({ giveWay: true }), /after 90 days, or if a newer one finds no room otherwise\.$/m);
});
