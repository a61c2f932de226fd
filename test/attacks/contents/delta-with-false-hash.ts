import type { Attack } from '../../support/forge.ts';
import { genuineDelta, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a difference from a path that contains something else',
  refusedAs: ['base-missing'],
  because: /is here, but was built elsewhere/,
  onlyAtTarget: true,
  control: (kit) => rebuilt(kit, { pieces: [genuineDelta(kit)] }),
  make: (kit) => {
    const { way, bytes } = genuineDelta(kit);
    return rebuilt(kit, { pieces: [{ way: way.with(5, '1'.repeat(52)), bytes }] });
  },
} satisfies Attack;
