import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'contents that are to be restored from something of which nobody said that it must be there',
  refusedAs: ['manifest-malformed'],
  make: (kit) => {
    const [first, second] = kit.good.manifest.paths;
    const member = `delta/${'1'.repeat(52)}.zst`;
    const delta = {
      path: first?.path ?? '',
      base: second?.path ?? '',
      baseHash: second?.narHash ?? '',
      member,
    };
    return resigned(kit, { deltas: [delta] });
  },
} satisfies Attack;
