import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a manifest that lists more members than memory holds',
  refusedAs: ['bundle-malformed'],
  make: (kit) => {
    const member = { name: 'meta', size: 0, sha256: '0'.repeat(64) };
    return resigned(kit, JSON.stringify({ ...kit.good.manifest, members: Array(100_000).fill(member) }));
  },
} satisfies Attack;
