/** A release’s index is what was signed, before it is parsed and after. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { readIndex, readRelease } from '../../src/bundle/release.ts';
import { parseManifest } from '../../src/core/release/manifest.ts';
import { makeTestRelease } from '../support/bundles.ts';
import { manifestInput, manifestText } from '../support/manifests.ts';

const { release, digest } = makeTestRelease();
const { manifest, index, nixSignatures, contentsBytes } = release;
const sha256 = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');

test('the index that was signed is read, with the pieces that its contents announce', () => {
  assert.deepEqual(readIndex(index.bytes, manifest).paths(), index.paths());
  const files = { index: index.bytes, nixSignatures: nixSignatures.bytes, contents: contentsBytes };
  assert.deepEqual([...readRelease({ manifest, digest }, files).pieces.keys()], [0, 1, 2]);
});

test('an index of another size or digest is refused before it is parsed', () => {
  const turned = Buffer.from(index.bytes);
  turned[5] = (turned[5] ?? 0) ^ 1;
  // None of them could be parsed: whoever tried would say `manifest-malformed`.
  for (const bytes of [
    Buffer.alloc(0),
    index.bytes.subarray(1),
    Buffer.concat([index.bytes, index.bytes]),
    turned,
  ])
    assert.throws(
      () => readIndex(bytes, manifest),
      /^NixmakerError: bundle-altered: the index does not match what was signed/,
    );
});

test('the digest counts, and so does the size', () => {
  const size = manifest.index.size + 1;
  assert.throws(() => readIndex(index.bytes, { ...manifest, index: { ...manifest.index, size } }), {
    code: 'bundle-altered',
  });
});

for (const name of ['paths', 'files', 'blocks', 'narBytes', 'largestNar'] as const)
  test(`a total of ${name} that the index does not add up to is refused, although both are signed`, () => {
    for (const change of [1, -1]) {
      const totals = { ...manifest.totals, [name]: manifest.totals[name] + change };
      assert.throws(() => readIndex(index.bytes, { ...manifest, totals }), {
        code: 'manifest-malformed',
        detail: `its total of ${name} does not match its index`,
      });
    }
  });

test('an index that is signed and none is the manifest’s fault', () => {
  const bytes = Buffer.from('nonsense\n');
  const signed = { ...manifest, index: { size: bytes.length, sha256: sha256(bytes) } };
  assert.throws(() => readIndex(bytes, signed), { code: 'manifest-malformed' });
});

test('the index of a recipe ends with the recipe, that of a system with the system', () => {
  const { totals, index: signed } = manifest;
  const recipe = parseManifest(manifestText({ totals, index: signed, content: 'derivation' }));
  assert.throws(() => readIndex(index.bytes, recipe), {
    code: 'manifest-malformed',
    detail: `index: its last line is not ${manifestInput().derivation}`,
  });
});

test('what travels unsigned is the bundle’s fault: contents of another manifest, signatures that are none', () => {
  const files = { index: index.bytes, nixSignatures: nixSignatures.bytes, contents: contentsBytes };
  const other = { manifest, digest: 'e'.repeat(64) };
  assert.throws(
    () => readRelease(other, files),
    /bundle-malformed: contents: it belongs to another manifest/,
  );
  const spoilt = { ...files, nixSignatures: Buffer.from('x\n') };
  assert.throws(() => readRelease({ manifest, digest }, spoilt), /bundle-malformed: nix\.sig/);
  const { nixSignatures: none } = readRelease(
    { manifest, digest },
    { ...files, nixSignatures: Buffer.alloc(0) },
  );
  assert.deepEqual(none.of(0), []);
});
