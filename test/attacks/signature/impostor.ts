import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a stranger signs under the name of the trusted key',
  refusedAs: ['signature-invalid'],
  because: /the signature by “fleet-1” does not match/,
  control: (kit) => resigned(kit, {}, kit.trusted),
  make: (kit) => resigned(kit, {}, kit.impostor),
} satisfies Attack;
