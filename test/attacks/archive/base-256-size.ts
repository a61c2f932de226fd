import { type Attack, unchanged, withHeader } from '../../support/forge.ts';
import { base256 } from '../../support/forge-release.ts';

export default {
  threat: 'a size in base 256 where eleven digits hold it: one header in two spellings',
  refusedAs: ['bundle-malformed'],
  because: /the header of .* does not match the manifest/,
  control: unchanged,
  make: (kit) => withHeader(kit, { sizeField: base256(kit.good.members.at(-1)?.bytes.length ?? 0) }),
} satisfies Attack;
