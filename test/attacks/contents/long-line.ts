import { type Attack, unchanged } from '../../support/forge.ts';
import { rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'one line of endless numbers: memory runs out before the first is checked',
  refusedAs: ['bundle-malformed'],
  because: /contents has 60000004 bytes; the limit is \d+/,
  control: unchanged,
  make: (kit) =>
    rebuilt(kit, {
      contents: Buffer.concat([Buffer.from('[0'), Buffer.alloc(60_000_000, ',0'), Buffer.from(']\n')]),
    }),
} satisfies Attack;
