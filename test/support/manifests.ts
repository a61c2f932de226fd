/** A manifest, facts and a policy that go together, for tests that change one thing about them. */

import type { Facts } from '../../src/core/policy/decide.ts';
import { type Policy, policyParser } from '../../src/core/policy/policy.ts';
import { encodeManifest, type ManifestInput } from '../../src/core/release/manifest.ts';

export const hashOf = (letter: string) => letter.repeat(32);
export const pathOf = (letter: string, name: string) => `/nix/store/${hashOf(letter)}-${name}`;

export const manifestInput = (changes: Partial<ManifestInput> = {}): ManifestInput => ({
  schema: 2,
  host: 'web',
  system: 'x86_64-linux',
  sequence: 7,
  createdAt: '2026-11-23T12:00:00Z',
  content: 'closure',
  derivation: pathOf('a', 'nixos-system-web-26.05.drv'),
  toplevel: pathOf('b', 'nixos-system-web-26.05'),
  totals: { paths: 3, files: 5, blocks: 7, narBytes: 300, largestNar: 200 },
  index: { size: 400, sha256: 'a'.repeat(64) },
  ...changes,
});

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
