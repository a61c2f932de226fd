/** What a provenance statement says of where a release comes from, and what it keeps to itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Manifest } from '../../src/core/release/manifest.ts';
import { parseProvenance, provenanceType } from '../../src/core/release/provenance.ts';
import { provenanceOf } from '../../src/desk/build/provenance.ts';
import { openEnvelope } from '../../src/signing/envelope.ts';

async function urisOf(url: string, inputs: readonly string[] = []): Promise<string[]> {
  const nodes = Object.fromEntries(
    inputs.map((each, i) => [`i${i}`, { locked: { type: 'git', url: each } }]),
  );
  const manifest = { host: 'web', system: 'x86_64-linux', content: 'closure', sequence: 1, derivation: '/d' };
  const text = await provenanceOf(
    { builder: 'one', metadata: { url, locks: { nodes } }, versions: {} },
    { manifest: manifest as Manifest, digest: '0'.repeat(64) },
    { name: 'k', kind: 'nix', publicText: 'k:', sign: async () => Buffer.alloc(64).toString('base64') },
  );
  const { text: payload } = openEnvelope(text, provenanceType);
  return parseProvenance(payload).predicate.buildDefinition.resolvedDependencies.map(({ uri }) => uri);
}

test('no password or token of a flake’s URL goes out with the bundle', async () => {
  const inputs = [
    'https://oauth2:s3cret@git.example/a',
    'ssh://git@git.example/b',
    'ssh://me:s3cret@git.example/c',
  ];
  assert.deepEqual(
    await urisOf('git+https://s3cret@git.example/x?rev=12&access_token=s3cret&dir=y', inputs),
    [
      'git+https://git.example/x?rev=12&access_token=&dir=y',
      'git+https://git.example/a',
      'git+ssh://git@git.example/b',
      'git+ssh://git.example/c',
    ],
  );
});

test('what has none stays as it is', async () => {
  for (const uri of [
    'path:/home/me/fleet?narHash=sha256-x',
    'github:NixOS/nixpkgs/12ab',
    'https://example.org/@x/y.tar.gz',
  ])
    assert.deepEqual(await urisOf(uri), [uri]);
});
