import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'two spellings of one signature: what is compared is not what is used',
  refusedAs: ['signature-malformed'],
  because: /line 1 of manifest\.sig is not keyname:base64/,
  control: unchanged,
  make: ({ good }) => {
    const text = good.signatureBytes.toString().trim();
    return assemble({ ...good, signatureBytes: Buffer.from(`${text.slice(0, 40)} ${text.slice(40)}\n`) });
  },
} satisfies Attack;
