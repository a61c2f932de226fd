import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NixmakerError, type ReasonCode } from '../../src/core/errors.ts';
import {
  encodeKeyring,
  type KeyringInput,
  parseKeyring,
  withKeyring,
} from '../../src/core/policy/keyring.ts';
import { policyParser } from '../../src/core/policy/policy.ts';
import { unsignedEnvelope } from '../../src/signing/envelope.ts';
import {
  addKeyringSignature,
  type KeyringState,
  keyringMessage,
  peekKeyring,
  unsignedKeyring,
  verifyKeyring,
} from '../../src/signing/keyring.ts';
import { generateKeyPair, parseSecretKey } from '../../src/signing/nix-key.ts';
import { preAuthenticationEncoding } from '../../src/signing/pae.ts';

const makeKey = (name: string) => {
  const pair = generateKeyPair(name);
  return { name, public: pair.public, secret: parseSecretKey(pair.secret) };
};
type Key = ReturnType<typeof makeKey>;
const [anna, bert, carla, eve] = ['anna', 'bert', 'carla', 'eve'].map(makeKey) as [Key, Key, Key, Key];

const input = (changes: Partial<KeyringInput> = {}): KeyringInput => ({
  schema: 1,
  version: 1,
  hosts: ['web', 'mail'],
  trustedKeys: [bert.public, carla.public],
  threshold: 2,
  roles: {},
  ...changes,
});

function signed(given: KeyringInput, ...by: readonly Key[]): string {
  const text = encodeKeyring(given);
  return by.reduce(
    (envelope, { name, secret }) => addKeyringSignature(envelope, name, secret.sign(keyringMessage(text))),
    unsignedKeyring(text),
  );
}

const now = '2026-11-24T00:00:00Z';
const trusting = (...keys: readonly Key[]) =>
  policyParser.parse({
    schema: 1,
    host: 'web',
    operation: 'switch',
    trustedKeys: keys.map((k) => k.public),
    threshold: keys.length,
  });
const at = (changes: Partial<KeyringState> = {}): KeyringState => ({
  host: 'web',
  version: 0,
  trust: trusting(anna),
  leastSequence: 0,
  now,
  ...changes,
});

function refused(work: () => unknown, code: ReasonCode, detail = /./): void {
  assert.throws(work, (error: unknown) => {
    assert.ok(error instanceof NixmakerError, String(error));
    assert.equal(error.code, code, error.detail);
    assert.match(error.detail, detail);
    return true;
  });
}

test('a keyring is believed on the word of the keys before it and of its own, and of nobody else', () => {
  const whole = signed(input(), anna, bert, carla);
  assert.equal(verifyKeyring(whole, at()).keyring.version, 1);
  refused(() => verifyKeyring(signed(input(), bert, carla), at()), 'keyring-untrusted', /currently trusted/);
  refused(() => verifyKeyring(signed(input(), anna, bert), at()), 'keyring-untrusted', /its own/);
  refused(() => verifyKeyring(signed(input(), eve, bert, carla), at()), 'keyring-untrusted');
  refused(() => verifyKeyring(unsignedKeyring(encodeKeyring(input())), at()), 'keyring-untrusted');
  const impostor = makeKey('anna');
  refused(() => verifyKeyring(signed(input(), impostor, bert, carla), at()), 'keyring-untrusted');
});

test('versions come one after the other, and a rotated key has no say in the next', () => {
  const second = input({ version: 2, trustedKeys: [carla.public], threshold: 1 });
  const first = verifyKeyring(signed(input(), anna, bert, carla), at()).keyring;
  refused(
    () => verifyKeyring(signed(second, anna, bert, carla), at()),
    'keyring-gap',
    /^it has version 2; this machine has 0$/,
  );
  const after = at({ version: 1, trust: first });
  assert.equal(verifyKeyring(signed(second, bert, carla), after).keyring.version, 2);
  refused(() => verifyKeyring(signed(second, anna, carla), after), 'keyring-untrusted');
  refused(
    () => verifyKeyring(signed(input(), anna, bert, carla), after),
    'keyring-gap',
    /^it has version 1; this machine has 1$/,
  );
});

test('who is needed for a release is needed for a change of keys', () => {
  const trustedKeys = [
    { key: anna.public, roles: ['build'] },
    { key: bert.public, roles: ['approve'], notAfter: '2027-01-01T00:00:00Z' },
  ];
  const trust = policyParser.parse({
    schema: 1,
    host: 'web',
    operation: 'switch',
    trustedKeys,
    threshold: 1,
    roles: { approve: 1 },
  });
  const next = input({ trustedKeys: [anna.public], threshold: 1 });
  refused(() => verifyKeyring(signed(next, anna), at({ trust })), 'keyring-untrusted', /approve/);
  assert.ok(verifyKeyring(signed(next, anna, bert), at({ trust })));
  const later = at({ trust, now: '2027-06-01T00:00:00Z' });
  refused(() => verifyKeyring(signed(next, anna, bert), later), 'keyring-untrusted', /approve/);
});

test('a keyring for others is not for this host', () => {
  refused(
    () => verifyKeyring(signed(input({ hosts: ['mail'] }), anna, bert, carla), at()),
    'wrong-host',
    /^the keyring is for mail$/,
  );
});

test('a signature over the same bytes as something else does not count', () => {
  const text = encodeKeyring(input({ trustedKeys: [anna.public], threshold: 1 }));
  const asManifest = anna.secret.sign(preAuthenticationEncoding(Buffer.from(text)));
  refused(
    () => verifyKeyring(addKeyringSignature(unsignedKeyring(text), 'anna', asManifest), at()),
    'keyring-untrusted',
  );
});

test('whatever is not in its one form is refused', () => {
  const text = encodeKeyring(input());
  for (const spoilt of [
    text.replace('{"schema"', '{ "schema"'),
    text.replace('"version":1', '"version":1,"version":2'),
    text.replace('"version":1', '"version":1.5'),
    text.replace('"version":1', '"version":0'),
    text.replace('"threshold":2', '"threshold":3'),
    text.replace('"schema":1', '"schema":2'),
    text.replace('"hosts"', '"host"'),
    text.trimEnd(),
    '',
  ])
    refused(() => parseKeyring(spoilt), 'keyring-malformed');
  refused(() => encodeKeyring(input({ roles: { approve: 1 } })), 'keyring-malformed');
  refused(() => peekKeyring('{}'), 'keyring-malformed');
});

test('a keyring whose bytes are no UTF-8 is refused, whoever has signed it', () => {
  const text = encodeKeyring(input({ trustedKeys: [anna.public], threshold: 1, roles: {} }));
  // One byte of the name of a host, so that a lenient decoder would make a text in canonical form of it.
  const bytes = Buffer.from(text);
  bytes[bytes.indexOf('mail')] = 0xff;
  const type = 'application/vnd.nixmaker.keyring.v1+json';
  const envelope = addKeyringSignature(
    unsignedEnvelope(bytes, type),
    'anna',
    anna.secret.sign(preAuthenticationEncoding(bytes, type)),
  );
  refused(() => verifyKeyring(envelope, at()), 'keyring-malformed', /UTF-8/);
});

test('a keyring raises the least sequence, and the next one does not lower it unnoticed', () => {
  const raised = input({ minimumSequence: 5001 });
  const first = verifyKeyring(signed(raised, anna, bert, carla), at()).keyring;
  const policy = { ...trusting(anna), minimumSequence: 7 };
  assert.equal(withKeyring(policy, first).minimumSequence, 5001);
  assert.equal(withKeyring({ ...policy, minimumSequence: 9000 }, first).minimumSequence, 9000);
  assert.equal(
    withKeyring({ ...policy, keyringVersion: 1 }, first).minimumSequence,
    7,
    'the policy has caught up',
  );
  const after = at({ version: 1, trust: first, leastSequence: 5001 });
  for (const minimumSequence of [undefined, 5000])
    refused(
      () => verifyKeyring(signed(input({ version: 2, minimumSequence }), bert, carla), after),
      'keyring-lower',
      /^its minimumSequence is (0|5000); that of the keyring in force is 5001$/,
    );
  const next = signed(input({ version: 2, minimumSequence: 5001 }), bert, carla);
  assert.equal(verifyKeyring(next, after).keyring.minimumSequence, 5001);
  for (const minimumSequence of [0, -1, 1.5, 2 ** 53, '5001', null])
    refused(
      () => encodeKeyring({ ...raised, minimumSequence } as KeyringInput),
      'keyring-malformed',
      /minimumSequence/,
    );
});

test('a policy is overruled by a keyring that is newer, and overrules an older one', () => {
  const keyring = parseKeyring(encodeKeyring(input({ version: 3 })));
  const policy = trusting(anna);
  assert.deepEqual(withKeyring(policy, keyring).trustedKeys, keyring.trustedKeys);
  assert.equal(withKeyring(policy, keyring).threshold, 2);
  for (const keyringVersion of [3, 4])
    assert.deepEqual(withKeyring({ ...policy, keyringVersion }, keyring).trustedKeys, policy.trustedKeys);
  assert.equal(withKeyring(policy, undefined), policy);
});
