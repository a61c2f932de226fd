import { type Attack, assemble, bytesOf, unchanged, withBytes } from '../../support/forge.ts';

export default {
  threat: 'a plain binary cache for another store',
  refusedAs: ['bundle-malformed'],
  because: /nix-cache-info does not match the manifest/,
  control: unchanged,
  make: ({ good }) => {
    const text = bytesOf(good, 'nix-cache-info').toString().replace('/nix/store', '/evil/stor');
    return assemble({ ...good, members: withBytes(good, 'nix-cache-info', text) });
  },
} satisfies Attack;
