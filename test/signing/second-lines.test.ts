/** Checks that stand behind another, each alone: that the first is there must not hide that they are gone. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isSignedByKey } from '../../src/signing/nix-key.ts';
import { signManifest } from '../../src/signing/signature-file.ts';
import { parseSshKey } from '../../src/signing/ssh-key.ts';
import { verifySshSignature } from '../../src/signing/ssh-signature.ts';
import { makeTrustSet, verifyManifest } from '../../src/signing/verify.ts';
import { addToOutbox, listOutbox, readLedger, writeLedger } from '../../src/state/outbox.ts';
import { sshPairs } from '../fuzz/targets/signing.ts';
import { firstKey, secondKey } from '../fuzz/targets/target.ts';
import { temporaryFolder } from '../support/bundles.ts';

const message = Buffer.from('what was signed');

test('a signature of 64 bytes that is another’s, or over something else, is none', () => {
  const genuine = firstKey.sign(message);
  assert.equal(isSignedByKey(firstKey.publicKey, message, genuine), true);
  assert.equal(isSignedByKey(firstKey.publicKey, Buffer.from('another'), genuine), false);
  assert.equal(isSignedByKey(secondKey.publicKey, message, genuine), false);
  assert.equal(isSignedByKey(firstKey.publicKey, message, `${genuine} `), false);
});

test('a manifest that is signed and not UTF-8 is refused for that', () => {
  const bytes = Buffer.from('{"schema":2,"host":"w\xffb"}\n', 'latin1');
  const trust = makeTrustSet([firstKey.publicText], 1);
  assert.throws(() => verifyManifest(bytes, Buffer.from(signManifest(bytes, firstKey)), trust), {
    code: 'manifest-malformed',
    detail: 'it is not UTF-8',
  });
});

for (const [name, pair] of Object.entries(sshPairs))
  test(`an SSH key of the kind “${name}” has signed what it has signed, for nixmaker, and nothing else`, () => {
    const key = parseSshKey(pair.line);
    const genuine = pair.sign(message);
    assert.equal(verifySshSignature(key, message, genuine), true);
    assert.equal(verifySshSignature(key, Buffer.from('another'), genuine), false);
    assert.equal(verifySshSignature(key, message, pair.sign(message, 'git')), false);
    assert.equal(verifySshSignature(key, message, Buffer.concat([genuine, Buffer.alloc(1)])), false);
    for (const [other, { line }] of Object.entries(sshPairs))
      if (other !== name) assert.equal(verifySshSignature(parseSshKey(line), message, genuine), false, other);
  });

test('a ledger that was never written begins at nothing; of receipts that wait the oldest go', async (t) => {
  const folder = await temporaryFolder(t);
  assert.deepEqual(await readLedger(folder), { schema: 1, number: 0, told: [] });
  await writeLedger(folder, { schema: 1, number: 7, told: ['a:committed'] });
  assert.deepEqual(await readLedger(folder), { schema: 1, number: 7, told: ['a:committed'] });
  for (let n = 1; n <= 66; n++) await addToOutbox(folder, `${n}.json`, 'x');
  const waiting = await listOutbox(folder);
  assert.deepEqual(
    [waiting.length, waiting.includes('2.json'), waiting.includes('3.json')],
    [64, false, true],
  );
});
