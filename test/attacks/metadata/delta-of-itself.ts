import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a path that is to be restored from itself, before it is there',
  refusedAs: ['manifest-malformed'],
  make: (kit) => {
    const { paths, toplevel } = kit.good.manifest;
    const [info] = paths;
    const member = kit.good.manifest.members.at(-1)?.name ?? '';
    const delta = { path: info?.path ?? '', base: info?.path ?? '', baseHash: info?.narHash ?? '', member };
    return resigned(kit, { base: [toplevel], deltas: [delta] });
  },
} satisfies Attack;
