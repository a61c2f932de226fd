import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'notes that repaint the operator’s screen',
  refusedAs: ['manifest-malformed'],
  because: /notes: contains control characters/,
  control: (kit) => resigned(kit, { notes: 'all is well[2J' }),
  make: (kit) => resigned(kit, { notes: 'all is well\u001b[2J' }),
} satisfies Attack;
