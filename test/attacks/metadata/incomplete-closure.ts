import type { Attack } from '../../support/forge.ts';
import { linesOf, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a system whose libraries are missing',
  refusedAs: ['manifest-malformed'],
  because: /line 1: its references are not numbers of lines before it/,
  make: (kit) => rebuilt(kit, { lines: linesOf(kit.good).slice(-1), ways: [] }),
} satisfies Attack;
