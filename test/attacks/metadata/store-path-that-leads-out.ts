import { type Attack, resigned, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a toplevel that looks like a store path at first sight',
  refusedAs: ['manifest-malformed'],
  because: /toplevel: is not a store path/,
  control: unchanged,
  make: (kit) => resigned(kit, { toplevel: `${kit.good.manifest.toplevel}/../../../tmp` }),
} satisfies Attack;
