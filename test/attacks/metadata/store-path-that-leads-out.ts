import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a toplevel that is a store path at first sight',
  refusedAs: ['manifest-malformed'],
  make: (kit) => resigned(kit, { toplevel: `${kit.good.manifest.toplevel}/../../../tmp` }),
} satisfies Attack;
