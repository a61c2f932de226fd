import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a bundle that was kept back until nobody wants it any more',
  refusedAs: ['expired'],
  onlyAtTarget: true,
  make: (kit) => resigned(kit, { expiresAt: '2001-01-01T00:00:00Z' }),
} satisfies Attack;
