import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a host name that leads out of a folder',
  refusedAs: ['manifest-malformed'],
  because: /host: is not usable/,
  make: (kit) => resigned(kit, { host: '../../etc' }),
} satisfies Attack;
