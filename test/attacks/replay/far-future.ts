import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a signed time after which no clock is believed, no window opens and every key has ended',
  refusedAs: ['created-ahead'],
  because: /it was created at 2099-01-01T00:00:00Z/,
  onlyAtTarget: true,
  control: (kit) => resigned(kit, { createdAt: kit.good.manifest.createdAt }),
  make: (kit) => resigned(kit, { createdAt: '2099-01-01T00:00:00Z' }),
} satisfies Attack;
