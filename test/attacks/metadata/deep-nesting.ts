import { encodeManifest } from '../../../src/core/release/manifest.ts';
import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'nesting that exhausts the stack',
  refusedAs: ['manifest-malformed'],
  because: /notes: .*expected string, received array/,
  control: (kit) => resigned(kit, { notes: 'N' }),
  make: (kit) =>
    resigned(
      kit,
      encodeManifest({ ...kit.good.manifest, notes: 'N' }).replace(
        '"N"',
        `${'['.repeat(30_000)}${']'.repeat(30_000)}`,
      ),
    ),
} satisfies Attack;
