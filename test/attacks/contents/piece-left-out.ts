import { type Attack, unchanged } from '../../support/forge.ts';
import { freshLines, rebuilt, waysOf } from '../../support/forge-release.ts';

export default {
  threat: 'part of the system is left out, and claimed to be there',
  refusedAs: ['base-missing'],
  because: /is missing, but the bundle builds on it/,
  onlyAtTarget: true,
  control: unchanged,
  make: (kit) => {
    const [line] = freshLines(kit);
    return rebuilt(kit, { ways: waysOf(kit.good).filter(([n]) => n !== line) });
  },
} satisfies Attack;
