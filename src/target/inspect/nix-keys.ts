/** Whom this machine’s Nix trusts, and whom the policy trusts: each can have keys that the other lacks. */
import { trustedKeysOf } from '../../nix/settings.ts';
import type { Machine } from '../machine/machine.ts';
import { readStorePublicKey } from '../machine/store-public-key.ts';

/** Nix’s own default (Nix src/libstore/globals.hh); most machines have it, and it says nothing about the policy. */
const nixDefault = 'cache.nixos.org-1:6NCHdD59X431o0gWypbMrAURkbJ16ZPMQFGspcDShjY=';

export interface KeyDifferences {
  /** Names of keys that the policy trusts and Nix does not know. */
  readonly unknownToNix: readonly string[];
  /** Names of keys that Nix trusts and the policy does not, except the machine’s own store key and Nix’s default. */
  readonly unknownToPolicy: readonly string[];
}

/** Keys are compared whole: two with the same name are still two. */
export async function findKeyDifferences(
  machine: Pick<Machine, 'nix' | 'policy' | 'floorDirectory'>,
): Promise<KeyDifferences> {
  const known = await trustedKeysOf(machine.nix);
  const trusted = machine.policy.trustedKeys.map(({ key }) => key);
  const own = await readStorePublicKey(machine);
  const others = [...trusted, nixDefault, ...(own === undefined ? [] : [`${own.name}:${own.material}`])];
  return {
    unknownToNix: trusted.filter((key) => !known.includes(key)).map(nameOf),
    unknownToPolicy: [...new Set(known)].filter((key) => !others.includes(key)).map(nameOf),
  };
}

const nameOf = (key: string) => key.split(':')[0] ?? '';
