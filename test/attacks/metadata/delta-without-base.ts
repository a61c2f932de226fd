import type { Attack } from '../../support/forge.ts';
import { genuineDelta, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'contents to be restored from something missing',
  refusedAs: ['base-missing'],
  because: /-nowhere is missing, but the bundle builds on it/,
  onlyAtTarget: true,
  control: (kit) => rebuilt(kit, { pieces: [genuineDelta(kit)] }),
  make: (kit) => {
    const { way, bytes } = genuineDelta(kit);
    return rebuilt(kit, { pieces: [{ way: way.with(4, `${'1'.repeat(32)}-nowhere`), bytes }] });
  },
} satisfies Attack;
