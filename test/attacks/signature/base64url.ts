import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'base64 of another alphabet',
  refusedAs: ['signature-malformed', 'signature-invalid'],
  make: ({ good, trusted }) => {
    const signature = `${'-_'.repeat(43)}==`;
    return assemble({ ...good, signatureBytes: Buffer.from(`${trusted.name}:${signature}\n`) });
  },
} satisfies Attack;
