import { type Attack, assemble, type Kit } from '../../support/forge.ts';

/** As many lines as a file of signatures may have. */
const lines = ({ good, stranger }: Kit) => {
  const line = `${stranger.name}:${stranger.sign(good.manifestBytes)}\n`;
  return line.repeat(Math.floor((63 * 1024) / line.length));
};

export default {
  threat: 'thousands of signatures, to waste the checker’s time',
  refusedAs: ['signature-unknown-key'],
  because: /it is signed by “stranger-1”; trusted here: “/,
  control: (kit) =>
    assemble({
      ...kit.good,
      signatureBytes: Buffer.concat([kit.good.signatureBytes, Buffer.from(lines(kit))]),
    }),
  make: (kit) => assemble({ ...kit.good, signatureBytes: Buffer.from(lines(kit)) }),
} satisfies Attack;
