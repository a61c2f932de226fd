import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'one key counts twice toward a threshold',
  refusedAs: ['signature-threshold'],
  onlyAtTarget: true,
  policy: { threshold: 2 },
  make: ({ good }) =>
    assemble({ ...good, signatureBytes: Buffer.concat([good.signatureBytes, good.signatureBytes]) }),
} satisfies Attack;
