import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'the genuine signature of another bundle',
  refusedAs: ['signature-invalid'],
  because: /the signature by “fleet-1” does not match/,
  control: unchanged,
  make: ({ good, old }) => assemble({ ...good, signatureBytes: old.signatureBytes }),
} satisfies Attack;
