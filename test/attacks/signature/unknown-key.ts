import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a stranger signs with their own key',
  refusedAs: ['signature-unknown-key'],
  because: /it is signed by “stranger-1”; trusted here: “/,
  control: (kit) => resigned(kit, {}, kit.trusted),
  make: (kit) => resigned(kit, {}, kit.stranger),
} satisfies Attack;
