import { type Attack, unchanged } from '../../support/forge.ts';
import { withLargePiece } from '../../support/forge-release.ts';

export default {
  threat: 'a size that does not fit a plain ustar header, and is read as a small one',
  refusedAs: ['bundle-truncated'],
  because: /of 8 GiB are here|the file ends at byte 8589\d{6}/,
  control: unchanged,
  make: (kit) => withLargePiece(kit, 8 * 2 ** 30),
} satisfies Attack;
