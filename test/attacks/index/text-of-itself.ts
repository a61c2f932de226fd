import type { Attack } from '../../support/forge.ts';
import { type Line, linesOf, rebuilt } from '../../support/forge-release.ts';

export default {
  threat: 'a text that refers to itself, which makes Nix end by an assertion',
  refusedAs: ['manifest-malformed'],
  because: /it refers to itself, which text can’t/,
  make: (kit) => {
    const lines = linesOf(kit.good);
    const [name, narHash, narSize, files, blocks, references] = lines.at(-1) as Line;
    const own = [...references.filter((r) => r !== lines.length - 1), lines.length - 1];
    const text: Line = [name, narHash, narSize, files, blocks, own, `text:sha256:${'1'.repeat(52)}`];
    return rebuilt(kit, { lines: [...lines.slice(0, -1), text] });
  },
} satisfies Attack;
