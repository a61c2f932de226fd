/** Keyrings and tables of hosts, in their envelopes. What verifies is what was signed, whatever was changed. */
import assert from 'node:assert/strict';
import { encodeHosts } from '../../../src/core/install/hosts.ts';
import { encodeKeyring } from '../../../src/core/policy/keyring.ts';
import {
  addHostsSignature,
  hostsMessage,
  peekHosts,
  unsignedHosts,
  verifyHosts,
} from '../../../src/signing/hosts.ts';
import {
  addKeyringSignature,
  keyringMessage,
  openOwnKeyring,
  peekKeyring,
  unsignedKeyring,
  verifyKeyring,
} from '../../../src/signing/keyring.ts';
import { jsonMutation } from '../mutations/json.ts';
import { buffers, firstKey, secondKey, type Target } from './target.ts';

const keyringText = encodeKeyring({
  schema: 1,
  version: 1,
  hosts: ['web'],
  trustedKeys: [
    firstKey.publicText,
    { key: secondKey.publicText, roles: ['build'], notAfter: '2030-01-01T00:00:00Z' },
  ],
  threshold: 1,
  roles: { build: 1 },
});
const before = { trustedKeys: [{ key: firstKey.publicText, roles: [] }], threshold: 1, roles: {} };
const state = { host: 'web', version: 0, trust: before, leastSequence: 0, now: '2026-11-28T00:00:00Z' };

const keyrings: Target = {
  name: 'keyrings',
  readers: [
    'signing/keyring.ts openOwnKeyring',
    'signing/keyring.ts peekKeyring',
    'signing/keyring.ts verifyKeyring',
    'core/policy/keyring.ts parseKeyring',
  ],
  seeds: () => {
    const signedBy = (envelope: string, key: typeof firstKey) =>
      addKeyringSignature(envelope, key.name, key.sign(keyringMessage(keyringText)));
    return buffers(signedBy(signedBy(unsignedKeyring(keyringText), firstKey), secondKey));
  },
  mutate: jsonMutation,
  run: (data) => {
    const envelope = data.toString('utf8');
    peekKeyring(envelope);
    openOwnKeyring(envelope);
    assert.equal(
      verifyKeyring(envelope, state).text,
      keyringText,
      'a keyring that nobody has signed was taken',
    );
  },
};

/** What a keyring holds, without the envelope around it. */
const keyringTexts: Target = {
  name: 'keyring-texts',
  readers: ['core/policy/keyring.ts parseKeyring'],
  seeds: () => buffers(keyringText),
  mutate: jsonMutation,
  run: (data) => {
    const text = data.toString('utf8');
    peekKeyring(unsignedKeyring(text));
    assert.equal(`${JSON.stringify(JSON.parse(text))}\n`, text, 'a keyring with two spellings');
  },
};

const hostsText = encodeHosts({
  schema: 1,
  createdAt: '2026-11-01T00:00:00Z',
  expiresAt: '2030-01-01T00:00:00Z',
  unattended: true,
  hosts: [
    { host: 'web', serial: 'PF-4711', mac: '52:54:00:12:34:56', disks: ['/dev/sda'] },
    { host: 'lab', machineId: '0123456789abcdef0123456789abcdef' },
  ],
});

const hostTables: Target = {
  name: 'host-tables',
  readers: ['signing/hosts.ts peekHosts', 'signing/hosts.ts verifyHosts', 'core/install/hosts.ts parseHosts'],
  seeds: () =>
    buffers(
      addHostsSignature(unsignedHosts(hostsText), firstKey.name, firstKey.sign(hostsMessage(hostsText))),
      hostsText,
    ),
  mutate: jsonMutation,
  run: (data) => {
    const text = data.toString('utf8');
    // What is in an envelope, by itself, reaches its own reader.
    const inside = peekHosts(text.includes('payloadType') ? text : unsignedHosts(text));
    assert.equal(encodeHosts(inside.table), inside.text, 'a table with two spellings');
    const { table } = verifyHosts(text, before, state.now);
    assert.equal(encodeHosts(table), hostsText, 'a table that nobody has signed was taken');
  },
};

export const listTargets: readonly Target[] = [keyrings, keyringTexts, hostTables];
