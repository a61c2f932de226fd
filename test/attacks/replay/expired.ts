import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a bundle withheld until nobody wants it any more',
  refusedAs: ['expired'],
  because: /it expired at 2001-01-01T00:00:00Z/,
  onlyAtTarget: true,
  control: (kit) => resigned(kit, { expiresAt: '2099-01-01T00:00:00Z' }),
  make: (kit) => resigned(kit, { expiresAt: '2001-01-01T00:00:00Z' }),
} satisfies Attack;
