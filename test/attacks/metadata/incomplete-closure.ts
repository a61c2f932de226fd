import { type Attack, resigned } from '../../support/forge.ts';

export default {
  threat: 'a system whose libraries are missing',
  refusedAs: ['closure-incomplete', 'manifest-malformed'],
  make: (kit) =>
    resigned(kit, { paths: kit.good.manifest.paths.filter((p) => p.path === kit.good.manifest.toplevel) }),
} satisfies Attack;
