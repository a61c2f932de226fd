import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a bundle for another host of the fleet',
  refusedAs: ['wrong-host'],
  because: /the bundle is for mail; this machine is web/,
  onlyAtTarget: true,
  control: (kit) => resigned(kit, { host: 'web' }),
  make: (kit) => resigned(kit, { host: 'mail' }),
} satisfies Attack;
