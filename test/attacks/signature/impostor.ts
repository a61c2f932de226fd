import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a stranger signs under the name of the trusted key',
  refusedAs: ['signature-invalid'],
  make: (kit) => resigned(kit, {}, kit.impostor),
} satisfies Attack;
