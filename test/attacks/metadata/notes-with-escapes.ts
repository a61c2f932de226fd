import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'notes that repaint the operator’s screen',
  refusedAs: ['manifest-malformed'],
  make: (kit) => resigned(kit, { notes: 'all is well\u001b[2J' }),
} satisfies Attack;
