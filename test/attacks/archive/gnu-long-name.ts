import { type Attack, assemble, entry } from '../../support/forge.ts';

export default {
  threat: 'a GNU header gives the next member another name',
  refusedAs: ['not-a-bundle'],
  make: ({ good }) => {
    const change = { type: 'L', magic: 'ustar  ' };
    const before = entry({ name: '././@LongLink', bytes: Buffer.from('../'.repeat(50)), change });
    return assemble({ ...good, before });
  },
} satisfies Attack;
