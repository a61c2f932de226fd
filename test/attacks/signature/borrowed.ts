import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'the genuine signature of another bundle',
  refusedAs: ['signature-invalid'],
  make: ({ good, old }) => assemble({ ...good, signatureBytes: old.signatureBytes }),
} satisfies Attack;
