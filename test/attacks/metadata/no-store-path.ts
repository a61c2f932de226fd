import { type Attack, resigned, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a toplevel outside the store',
  refusedAs: ['manifest-malformed'],
  because: /toplevel: is not a store path/,
  control: unchanged,
  make: (kit) => resigned(kit, { toplevel: '/tmp/evil' }),
} satisfies Attack;
