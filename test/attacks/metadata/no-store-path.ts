import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a toplevel that is anywhere',
  refusedAs: ['manifest-malformed'],
  because: /toplevel: is not a store path/,
  make: (kit) => resigned(kit, { toplevel: '/tmp/evil' }),
} satisfies Attack;
