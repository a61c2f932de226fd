import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isRecentNix } from '../../src/nix/settings.ts';

test('a Nix older than the command line that nixmaker speaks is told from one that is not', () => {
  for (const [version, recent] of [
    ['nix-store (Nix) 2.34.8', true],
    ['nix-store (Nix) 2.24.0', true],
    ['nix-store (Nix) 2.23.4', false],
    ['nix-store (Nix) 2.8.0', false],
    ['nix-store (Nix) 3.0.1', true],
    ['nix-store (Lix, like Nix) 2.93.0', true],
    ['', false],
    ['no version at all', false],
  ] as const)
    assert.equal(isRecentNix(version), recent, version);
});
