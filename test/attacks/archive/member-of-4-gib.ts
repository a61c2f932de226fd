import { type Attack, unchanged } from '../../support/forge.ts';
import { withLargePiece } from '../../support/forge-release.ts';

export default {
  threat: 'a size that overflows 32 bits',
  refusedAs: ['bundle-truncated'],
  because: /of 4 GiB are here|the file ends at byte 4294\d{6}/,
  control: unchanged,
  make: (kit) => withLargePiece(kit, 2 ** 32),
} satisfies Attack;
