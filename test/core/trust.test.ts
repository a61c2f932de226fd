/** Whose signatures count, how far a bundle may go, and what is done about a floor that is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decide, type Facts, type Verdict } from '../../src/core/policy/decide.ts';
import { policyParser } from '../../src/core/policy/policy.ts';
import { keyNameOf, unmetRoles } from '../../src/core/policy/trust.ts';
import { parseManifest } from '../../src/core/release/manifest.ts';
import { doubtFloor } from '../../src/core/run/floor.ts';
import { facts, manifestText } from '../support/manifests.ts';

const judge = (...given: Parameters<typeof verdictOn>): string => {
  const verdict = verdictOn(...given);
  return 'code' in verdict ? verdict.code : verdict.verdict;
};

/** The code and what is said of it. */
const said = (...given: Parameters<typeof verdictOn>): string => {
  const verdict = verdictOn(...given);
  return 'code' in verdict ? `${verdict.code}: ${verdict.detail}` : verdict.verdict;
};

function verdictOn(
  policy: Record<string, unknown>,
  changes: Partial<Facts> = {},
  sequence = 7,
  downgradeFrom?: number,
): Verdict {
  const whole = policyParser.parse({
    schema: 1,
    host: 'web',
    operation: 'switch',
    trustedKeys: ['k:x'],
    ...policy,
  });
  const manifest = manifestText({ sequence, ...(downgradeFrom === undefined ? {} : { downgradeFrom }) });
  return decide(parseManifest(manifest), facts(changes), whole);
}

const noon = (day: number) => `2026-11-${day}T12:00:00Z`;

test('a key counts from its first moment until its last, and not at it', () => {
  const trustedKeys = [{ key: 'k:x', notBefore: noon(10), notAfter: noon(20) }];
  for (const [now, expected] of [
    ['2026-11-10T11:59:59Z', 'key-not-valid'],
    [noon(10), 'accept'],
    ['2026-11-20T11:59:59Z', 'accept'],
    [noon(20), 'key-not-valid'],
  ] as const)
    assert.equal(judge({ trustedKeys }, { now }), expected, now);
  assert.match(
    said({ trustedKeys }, { now: noon(20) }),
    /^key-not-valid: 0 of 1 required keys are valid at 2026-11-20T12:00:00Z; not valid now: k$/,
  );
});

test('of two keys that are needed one that is no longer valid does not count', () => {
  const trustedKeys = ['k:x', { key: 'l:y', notAfter: noon(20) }];
  const both = { signedBy: ['k', 'l'] };
  assert.equal(judge({ trustedKeys, threshold: 2 }, { ...both, now: noon(19) }), 'accept');
  assert.equal(judge({ trustedKeys, threshold: 2 }, { ...both, now: noon(21) }), 'key-not-valid');
  assert.equal(judge({ trustedKeys, threshold: 1 }, { ...both, now: noon(21) }), 'accept');
});

test('a role that is asked for needs a key of that role, whoever else has signed', () => {
  const trustedKeys = [
    { key: 'ci:x', roles: ['build'] },
    { key: 'ci2:x', roles: ['build'] },
    { key: 'anna:y', roles: ['approve', 'build'] },
  ];
  const policy = { trustedKeys, threshold: 2, roles: { build: 1, approve: 1 } };
  assert.match(
    said(policy, { signedBy: ['ci', 'ci2'] }),
    /^role-missing: 0 of 1 required keys with the role “approve” have signed$/,
  );
  assert.equal(judge(policy, { signedBy: ['ci', 'anna'] }), 'accept');
  assert.equal(judge(policy, { signedBy: ['anna'] }), 'key-not-valid');
});

test('a bundle beyond a limit is refused before anything of it is read', () => {
  // manifests.ts: three paths, of 300 bytes in all, the largest of 200.
  for (const [limits, expected] of [
    [{ bundleBytes: 89 }, 'over-limit'],
    [{ bundleBytes: 90 }, 'accept'],
    [{ narBytes: 199 }, 'over-limit'],
    [{ closureBytes: 299 }, 'over-limit'],
    [{ closureBytes: 300, narBytes: 200, paths: 3 }, 'accept'],
    [{ paths: 2 }, 'over-limit'],
  ] as const)
    assert.equal(judge({ limits }, { bundleBytes: 90 }), expected, JSON.stringify(limits));
  assert.match(
    said({ limits: { paths: 2 } }, { bundleBytes: 90 }),
    /^over-limit: paths is 3; the policy allows 2$/,
  );
});

test('how large a bundle is, is not signed: root, which sees what is signed only, does not judge it', () => {
  assert.equal(judge({ limits: { bundleBytes: 1 } }, { bundleBytes: undefined }), 'accept');
  assert.equal(judge({ limits: { closureBytes: 1 } }, { bundleBytes: undefined }), 'over-limit');
});

test('a sequence may rise by so much, from the first one on', () => {
  const limits = { sequenceJump: 100 };
  const floor = { sequence: 7, manifestDigest: 'e'.repeat(64) };
  assert.equal(judge({ limits }, { floor }, 107), 'accept');
  assert.match(
    said({ limits }, { floor }, 108),
    /^sequence-jump: it has sequence 108; the policy allows at most 100 above 7$/,
  );
  assert.equal(judge({ limits }, {}, 1_764_000_000), 'accept', 'there is nothing yet to jump from');
});

test('a bundle signed for a time far ahead of the clock is refused, unless the clock must be wrong itself', () => {
  // Made at 2026-11-23T12:00:00Z.
  const limits = { createdAhead: 3600 };
  assert.equal(judge({ limits }, { now: '2026-11-23T11:00:00Z' }), 'accept');
  assert.match(
    said({ limits }, { now: '2026-11-23T10:59:59Z' }),
    /^created-ahead: it says it was created at 2026-11-23T12:00:00Z, but the clock says .*; the policy allows 3600 seconds$/,
  );
  assert.equal(judge({ limits }, { now: '2026-11-23T10:59:59Z', unattended: false }), 'created-ahead');
  assert.equal(judge({ limits }, { now: '2026-11-23T10:00:00Z', clockBehind: true }), 'accept');
  assert.equal(
    judge({}, { now: '2025-11-24T12:00:00Z' }),
    'accept',
    'a year, unless the policy says otherwise',
  );
  assert.equal(judge({}, { now: '2025-11-21T12:00:00Z' }), 'created-ahead');
});

test('a lower sequence is taken where it was signed for exactly this floor, once', () => {
  const floor = { sequence: 12, manifestDigest: 'e'.repeat(64) };
  assert.equal(judge({}, { floor }, 5), 'sequence-older');
  assert.equal(judge({}, { floor }, 5, 12), 'accept');
  assert.equal(judge({}, { floor }, 5, 11), 'sequence-older');
  assert.equal(judge({}, { floor }, 5, 13), 'sequence-older', 'kept for later');
  const after = { sequence: 12, manifestDigest: 'd'.repeat(64) };
  assert.equal(judge({}, { floor: after, toplevelInPlace: true }, 5, 12), 'already-committed');
  assert.equal(
    judge({}, { floor: after, manifestDigest: 'e'.repeat(64) }, 12),
    'sequence-conflict',
    'what was left',
  );
  assert.throws(() => judge({}, { floor }, 12, 12), /downgradeFrom: is not above/);
});

test('the agent waits for the window, a person need not, and a clock that must be wrong opens none', () => {
  const window = { from: '02:00', to: '04:00' };
  assert.match(
    said({ window }, { now: noon(24) }),
    /^outside-window: the window opens at 2026-11-25T02:00:00.000Z$/,
  );
  assert.equal(judge({ window }, { now: '2026-11-24T02:30:00Z' }), 'accept');
  assert.equal(judge({ window }, { now: noon(24), unattended: false }), 'accept');
  assert.equal(judge({ window }, { now: '2026-11-24T02:30:00Z', clockBehind: true }), 'outside-window');
  assert.match(
    said({ window }, { now: '2026-11-24T02:30:00Z', clockBehind: true }),
    /^outside-window: the clock is behind the newest signed time seen \(2026-11-24T02:30:00Z\)/,
  );
  assert.equal(judge({ window, host: 'mail' }, { now: noon(24) }), 'wrong-host', 'refused at once');
});

test('a machine id in the policy stands for the machine’s own', () => {
  const manifest = parseManifest(manifestText({ machineId: 'a'.repeat(32) }));
  const whole = policyParser.parse({
    schema: 1,
    host: 'web',
    operation: 'switch',
    trustedKeys: ['k:x'],
    machineId: 'a'.repeat(32),
  });
  assert.equal(decide(manifest, facts({ machineId: 'b'.repeat(32) }), whole).verdict, 'accept');
});

test('a floor that is lost stops everything, and only what would wait for it', () => {
  const floorDoubt = 'the floor is missing';
  assert.match(said({}, { floorDoubt }), /^floor-lost: the floor is missing$/);
  assert.equal(judge({ host: 'mail' }, { floorDoubt }), 'wrong-host');
});

test('a floor is doubted where it is gone or damaged, or lower than the journal; never on a new machine', () => {
  const at = (sequence: number) => ({ sequence, manifestDigest: 'd'.repeat(64) });
  const none = { floor: undefined, damaged: 0, committed: undefined };
  assert.equal(doubtFloor(none), undefined);
  assert.match(doubtFloor({ ...none, damaged: 2 }) ?? '', /damaged/);
  assert.match(doubtFloor({ ...none, committed: at(5) }) ?? '', /missing.*sequence 5/);
  assert.match(doubtFloor({ ...none, floor: at(4), committed: at(5) }) ?? '', /floor is 4.*sequence 5/);
  assert.equal(doubtFloor({ ...none, floor: at(5), committed: at(5) }), undefined);
  assert.equal(
    doubtFloor({ ...none, floor: at(6), committed: at(5) }),
    undefined,
    'the journal may be shorter',
  );
  assert.equal(doubtFloor({ ...none, floor: at(5), damaged: 1 }), undefined, 'one copy is enough');
});

test('a key is called by what stands before its first colon, and what has none has no name', () => {
  for (const [key, name] of [
    ['ci-1:AAAA', 'ci-1'],
    ['a:b:c', 'a'],
    [':AAAA', ''],
    ['AAAA', ''],
    ['', ''],
  ] as const)
    assert.equal(keyNameOf({ key }), name, key);
});

test('a role is unmet where fewer keys have it than are asked for', () => {
  const trustedKeys = [
    { key: 'a:x', roles: ['build'] },
    { key: 'b:x', roles: ['build', 'approve'] },
  ];
  const unmet = (roles: Record<string, number>) => unmetRoles({ trustedKeys, roles });
  assert.deepEqual(unmet({ build: 2, approve: 1 }), []);
  assert.deepEqual(unmet({ build: 3, approve: 2, other: 1 }), ['build', 'approve', 'other']);
  assert.deepEqual(unmet({}), []);
});
