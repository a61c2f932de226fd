import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'notes whose letters run the other way',
  refusedAs: ['manifest-malformed'],
  because: /notes: holds control characters/,
  make: (kit) => resigned(kit, { notes: 'safe \u202e exe.evil' }),
} satisfies Attack;
