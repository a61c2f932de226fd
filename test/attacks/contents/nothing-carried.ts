import { type Attack, unchanged } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a system of which nothing is carried, to be activated all the same',
  refusedAs: ['base-missing'],
  because: /more are missing, but the bundle builds on it/,
  onlyAtTarget: true,
  control: unchanged,
  make: (kit) => rebuilt(kit, { ways: [] }),
} satisfies Attack;
