/** Envelopes of receipts: what counts as signed, and by whom. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { NixmakerError } from '../../src/core/errors.ts';
import { openEnvelope, signEnvelope } from '../../src/signing/envelope.ts';
import { generateKeyPair, parsePublicKey, parseSecretKey } from '../../src/signing/nix-key.ts';

const pair = generateKeyPair('host-web');
const secret = parseSecretKey(pair.secret);
const key = parsePublicKey(pair.public);
const type = 'application/vnd.nixmaker.receipt.v1+json';
const envelope = signEnvelope(Buffer.from('{"a":1}'), type, secret);
const malformed = (error: unknown) => error instanceof NixmakerError && error.code === 'receipt-malformed';

test('what was signed opens, and is signed by that key only', () => {
  const { payload, isSignedBy } = openEnvelope(envelope, type);
  assert.equal(payload.toString(), '{"a":1}');
  assert.equal(isSignedBy(key), true);
  assert.equal(
    isSignedBy(parsePublicKey(generateKeyPair('host-web').public)),
    false,
    'the name alone is nothing',
  );
});

test('a signature over a manifest is none over a receipt', () => {
  const other = signEnvelope(Buffer.from('{"a":1}'), 'application/vnd.nixmaker.manifest.v1+json', secret);
  assert.throws(() => openEnvelope(other, type), malformed);
  const relabelled = JSON.stringify({ ...(JSON.parse(other) as object), payloadType: type });
  assert.equal(openEnvelope(relabelled, type).isSignedBy(key), false);
});

test('another payload, lax base64 and spare fields are refused', () => {
  const parsed = JSON.parse(envelope) as { payload: string };
  const changed = JSON.stringify({ ...parsed, payload: Buffer.from('{"a":2}').toString('base64') });
  assert.equal(openEnvelope(changed, type).isSignedBy(key), false);
  assert.throws(
    () => openEnvelope(JSON.stringify({ ...parsed, payload: `${parsed.payload}!` }), type),
    malformed,
  );
  assert.throws(() => openEnvelope(JSON.stringify({ ...parsed, more: 1 }), type), malformed);
  const unsigned = openEnvelope(JSON.stringify({ ...parsed, signatures: [] }), type);
  assert.equal(unsigned.isSignedBy(key), false);
});

test('a payload that is no UTF-8 is refused, signed or not: its text would not be what was signed', () => {
  for (const bytes of [
    [0x22, 0xff, 0x22],
    [0x22, 0xed, 0xa0, 0x80, 0x22],
    [0x22, 0xc0, 0x80, 0x22],
    [0xe2, 0x82],
  ])
    assert.throws(() => openEnvelope(signEnvelope(Buffer.from(bytes), type, secret), type), malformed);
  const marked = openEnvelope(signEnvelope(Buffer.from('\ufeff{}'), type, secret), type);
  assert.equal(marked.text, '\ufeff{}');
});

test('every other spelling of the payload’s base64 is refused', () => {
  const parsed = JSON.parse(envelope) as { payload: string };
  const { payload } = parsed;
  assert.ok(payload.endsWith('=') || payload.length % 4 === 0);
  const spellings = [
    `${payload}\n`,
    ` ${payload}`,
    payload.replace(/=+$/, ''),
    `${payload}====`,
    `${payload}A`,
  ];
  const url = Buffer.from('{"a":"\u00ff\u00fe~~~???"}');
  const plain = url.toString('base64');
  assert.notEqual(plain, url.toString('base64url'));
  spellings.push(plain.replaceAll('+', '-').replaceAll('/', '_'));
  for (const spelt of spellings.filter((s) => s !== payload))
    assert.throws(() => openEnvelope(JSON.stringify({ ...parsed, payload: spelt }), type), malformed, spelt);
});

test('no text makes it throw anything else', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      assert.throws(() => openEnvelope(text, type), malformed);
    }),
  );
});
