import { encodeManifest } from '../../../src/core/release/manifest.ts';
import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'bytes that are not text',
  refusedAs: ['manifest-malformed'],
  because: /it is not UTF-8/,
  control: (kit) => resigned(kit, { notes: '\ufffd' }),
  make: (kit) => {
    // What a lenient decoder would read as U+FFFD.
    const [head = '', tail = ''] = encodeManifest({ ...kit.good.manifest, notes: '\ufffd' }).split('\ufffd');
    return resigned(kit, Buffer.concat([Buffer.from(head), Buffer.from([0xff]), Buffer.from(tail)]));
  },
} satisfies Attack;
