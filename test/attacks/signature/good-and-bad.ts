import { type Attack, assemble, type Kit } from '../../support/forge.ts';

const beside = ({ good }: Kit, line: string) =>
  assemble({ ...good, signatureBytes: Buffer.concat([good.signatureBytes, Buffer.from(line)]) });
const bad = Buffer.alloc(64, 1).toString('base64');

export default {
  threat: 'a false signature beside a genuine one, to see which counts',
  refusedAs: ['signature-invalid'],
  because: /the signature by “fleet-1” does not match/,
  // The same by a key that nobody knows is passed over.
  control: (kit) => beside(kit, `${kit.stranger.name}:${bad}\n`),
  make: (kit) => beside(kit, `${kit.trusted.name}:${bad}\n`),
} satisfies Attack;
