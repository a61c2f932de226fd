import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'a false signature beside a genuine one, to see which counts',
  refusedAs: ['signature-invalid'],
  make: ({ good, trusted }) => {
    const bad = Buffer.from(`${trusted.name}:${Buffer.alloc(64, 1).toString('base64')}\n`);
    return assemble({ ...good, signatureBytes: Buffer.concat([good.signatureBytes, bad]) });
  },
} satisfies Attack;
