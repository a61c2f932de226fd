import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'notes that reverse the direction of text',
  refusedAs: ['manifest-malformed'],
  because: /notes: contains control characters/,
  control: (kit) => resigned(kit, { notes: 'safe  exe.evil' }),
  make: (kit) => resigned(kit, { notes: 'safe \u202e exe.evil' }),
} satisfies Attack;
