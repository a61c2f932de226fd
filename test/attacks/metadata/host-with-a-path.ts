import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a host name that leads out of a folder',
  refusedAs: ['manifest-malformed'],
  because: /host: is not a valid host name/,
  control: (kit) => resigned(kit, { host: 'web' }),
  make: (kit) => resigned(kit, { host: '../../etc' }),
} satisfies Attack;
