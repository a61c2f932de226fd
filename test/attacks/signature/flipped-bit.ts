import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a damaged or guessed signature',
  refusedAs: ['signature-invalid'],
  because: /the signature by “fleet-1” does not match/,
  control: unchanged,
  make: ({ good }) => {
    const [name, base64 = ''] = good.signatureBytes.toString().trim().split(':');
    const bytes = Buffer.from(base64, 'base64');
    bytes[10] = (bytes[10] ?? 0) ^ 1;
    return assemble({ ...good, signatureBytes: Buffer.from(`${name}:${bytes.toString('base64')}\n`) });
  },
} satisfies Attack;
