import { encodeManifest } from '../../../src/core/release/manifest.ts';
import { type Attack, assemble } from '../../support/forge.ts';

export default {
  threat: 'the manifest is changed, the signature kept',
  refusedAs: ['signature-invalid'],
  make: ({ good }) =>
    assemble({ ...good, manifestBytes: Buffer.from(encodeManifest({ ...good.manifest, sequence: 9999 })) }),
} satisfies Attack;
