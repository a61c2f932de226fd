import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'contents that are not what the manifest says, in narinfo and manifest alike',
  refusedAs: ['bundle-malformed'],
  make: (kit) => {
    const paths = kit.good.manifest.paths.map((p) => ({ ...p, narHash: `sha256:${'1'.repeat(52)}` }));
    return resigned(kit, { paths });
  },
} satisfies Attack;
