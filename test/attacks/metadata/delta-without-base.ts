import type { Attack } from '../../support/forge.ts';
import { delta, freshLines, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'contents that are to be restored from something that is not there',
  refusedAs: ['base-missing'],
  because: /-nowhere is not there, and the bundle relies on it/,
  onlyAtTarget: true,
  make: (kit) => {
    const [line = 0] = freshLines(kit);
    const nowhere = [`${'1'.repeat(32)}-nowhere`, '1'.repeat(52)];
    return rebuilt(kit, { pieces: [delta(line, Buffer.from('a difference'), nowhere)] });
  },
} satisfies Attack;
