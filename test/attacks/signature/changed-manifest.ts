import { encodeManifest } from '../../../src/core/release/manifest.ts';
import { type Attack, assemble, unchanged } from '../../support/forge.ts';

export default {
  threat: 'the manifest is changed, the signature kept',
  refusedAs: ['signature-invalid'],
  because: /the signature by “fleet-1” does not match/,
  control: unchanged,
  make: ({ good }) =>
    assemble({ ...good, manifestBytes: Buffer.from(encodeManifest({ ...good.manifest, sequence: 9999 })) }),
} satisfies Attack;
