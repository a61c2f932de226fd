import type { Attack } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a system of which nothing comes, to be activated all the same',
  refusedAs: ['base-missing'],
  because: /are not there, and the bundle leaves them out/,
  onlyAtTarget: true,
  make: (kit) => rebuilt(kit, { ways: [] }),
} satisfies Attack;
