import { type Attack, assemble, entry, unchanged } from '../../support/forge.ts';

export default {
  threat: 'a GNU header gives the next member another name',
  refusedAs: ['not-a-bundle'],
  because: /it does not begin with a manifest/,
  control: unchanged,
  make: ({ good }) => {
    const change = { type: 'L', magic: 'ustar  ' };
    const before = entry({ name: '././@LongLink', bytes: Buffer.from('../'.repeat(50)), change });
    return assemble({ ...good, before });
  },
} satisfies Attack;
