import { type Attack, unchanged } from '../../support/forge.ts';
import { withLargePiece } from '../../support/forge-release.ts';

export default {
  threat: 'a size at which 32 bits overflow',
  refusedAs: ['bundle-truncated'],
  because: /of 4294\d{6} bytes are here|the file ends at byte 4294\d{6}/,
  control: unchanged,
  make: (kit) => withLargePiece(kit, 2 ** 32),
} satisfies Attack;
