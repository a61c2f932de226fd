import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a stranger signs with a key of their own',
  refusedAs: ['signature-unknown-key'],
  make: (kit) => resigned(kit, {}, kit.stranger),
} satisfies Attack;
