import type { Attack } from '../../support/forge.ts';
import { genuineDelta, linesOf, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a path to be restored from itself, before it exists',
  refusedAs: ['base-missing'],
  because: /(?:is|are) missing, but the bundle builds on it/,
  onlyAtTarget: true,
  control: (kit) => rebuilt(kit, { pieces: [genuineDelta(kit)] }),
  make: (kit) => {
    const { way, bytes } = genuineDelta(kit);
    const [own, narHash] = linesOf(kit.good)[Number(way[0])] ?? [];
    return rebuilt(kit, { pieces: [{ way: way.with(4, own).with(5, narHash), bytes }] });
  },
} satisfies Attack;
