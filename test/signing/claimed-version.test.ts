/** The version that a keyring claims, from its first bytes: of what is no keyring, or says it otherwise, nothing. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { claimedVersion, keyringBeginning } from '../../src/signing/keyring.ts';

const type = 'application/vnd.nixmaker.keyring.v1+json';
const beginning = (payload: string, payloadType = type) =>
  `{"payloadType":"${payloadType}","payload":"${Buffer.from(payload).toString('base64')}","signatures":[]}`;
const of = (version: string) =>
  claimedVersion(beginning(`{"schema":1,"version":${version},"hosts":["web"]}`));

test('the version of a keyring is read from its beginning, however long the rest is', () => {
  assert.deepEqual(['1', '42', '1000000'].map(of), [1, 42, 1_000_000]);
  const long = beginning(`{"schema":1,"version":7,"hosts":["${'x'.repeat(10_000)}"]}`);
  assert.equal(claimedVersion(long), 7);
  assert.equal(claimedVersion(long.slice(0, keyringBeginning)), 7);
});

test('where it is spelt otherwise, or is no version, none is claimed', () => {
  for (const version of ['0', '07', '-1', '1e3', '12345678', '"7"'])
    assert.equal(of(version), undefined, version);
  assert.equal(claimedVersion(beginning(' {"schema":1,"version":7,')), undefined);
  assert.equal(claimedVersion(beginning('{"version":7,')), undefined);
});

test('of something of another type, or with anything before it, no version is claimed', () => {
  const payload = '{"schema":1,"version":7,';
  assert.equal(claimedVersion(beginning(payload)), 7);
  // As long, so that what follows stands at the same place.
  assert.equal(claimedVersion(beginning(payload, type.replace('keyring', 'receipt'))), undefined);
  assert.equal(claimedVersion(beginning(payload).slice(1)), undefined);
  assert.equal(claimedVersion(''), undefined);
});
