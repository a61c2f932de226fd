/** Manifests for tests of the pure core. */

import { encodeManifest, type ManifestInput } from '../../src/core/bundle/manifest.ts';
import type { Facts } from '../../src/core/policy/decide.ts';
import { type Policy, policyParser } from '../../src/core/policy/policy.ts';

export const hashOf = (letter: string) => letter.repeat(32);
export const pathOf = (letter: string, name: string) => `/nix/store/${hashOf(letter)}-${name}`;
const narHash = `sha256:${'0'.repeat(52)}`;

export function manifestInput(changes: Partial<ManifestInput> = {}): ManifestInput {
  const toplevel = pathOf('b', 'nixos-system-web-26.05');
  const library = pathOf('c', 'library');
  const nar = `nar/${'0'.repeat(52)}.nar.zst`;
  const digest = '0'.repeat(64);
  return {
    schema: 1,
    host: 'web',
    system: 'x86_64-linux',
    sequence: 7,
    createdAt: '2026-11-23T12:00:00Z',
    content: 'closure',
    derivation: pathOf('a', 'nixos-system-web-26.05.drv'),
    toplevel,
    base: [],
    paths: [
      { path: toplevel, narHash, narSize: 100, references: [`${hashOf('c')}-library`] },
      { path: library, narHash, narSize: 200, references: [] },
    ],
    members: [
      { name: 'meta', size: 10, sha256: digest },
      { name: 'nix-cache-info', size: 10, sha256: digest },
      { name: `${hashOf('b')}.narinfo`, size: 10, sha256: digest },
      { name: `${hashOf('c')}.narinfo`, size: 10, sha256: digest },
      { name: nar, size: 50, sha256: digest },
    ],
    ...changes,
  };
}

export const manifestText = (changes: Partial<ManifestInput> = {}) => encodeManifest(manifestInput(changes));

export function facts(changes: Partial<Facts> = {}): Facts {
  return {
    manifestDigest: 'd'.repeat(64),
    system: 'x86_64-linux',
    machineId: undefined,
    floor: undefined,
    signedBy: ['k'],
    unattended: true,
    clockBehind: false,
    pending: undefined,
    failedDigests: new Set(),
    operation: 'switch',
    toplevelInPlace: false,
    now: '2026-11-24T00:00:00Z',
    ...changes,
  };
}

export const policy: Policy = policyParser.parse({
  schema: 1,
  host: 'web',
  operation: 'switch',
  trustedKeys: ['k:x'],
});
