import { signManifest } from '../../../src/signing/signature-file.ts';
import { type Attack, assemble, type Kit } from '../../support/forge.ts';

const signedBy = ({ good }: Kit, ...signatures: (string | Buffer)[]) =>
  assemble({ ...good, signatureBytes: Buffer.from(signatures.join('')) });

export default {
  threat: 'one key counts twice toward a threshold',
  refusedAs: ['signature-threshold'],
  because: /1 of 2 required trusted keys have signed/,
  onlyAtTarget: true,
  policy: { threshold: 2 },
  control: (kit) =>
    signedBy(kit, kit.good.signatureBytes, signManifest(kit.good.manifestBytes, kit.stranger)),
  make: (kit) => signedBy(kit, kit.good.signatureBytes, kit.good.signatureBytes),
} satisfies Attack;
