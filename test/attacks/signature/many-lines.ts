import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'thousands of signatures, to spend the time of whoever checks them',
  refusedAs: ['signature-unknown-key'],
  make: ({ good, stranger }) => {
    const line = `${stranger.name}:${stranger.sign(good.manifestBytes)}\n`;
    const lines = line.repeat(Math.floor((64 * 1024) / line.length));
    return assemble({ ...good, signatureBytes: Buffer.from(lines) });
  },
} satisfies Attack;
