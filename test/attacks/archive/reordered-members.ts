import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'names and contents are swapped',
  refusedAs: ['bundle-malformed'],
  because: /the header of meta does not match the manifest/,
  control: unchanged,
  make: ({ good }) => {
    const at = good.members.findIndex((p) => p.name === 'meta');
    const computed = good.members.slice(at).reverse();
    return assemble({ ...good, members: [...good.members.slice(0, at), ...computed] });
  },
} satisfies Attack;
