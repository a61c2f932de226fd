import type { Attack, Kit } from '../../support/forge.ts';
import { type Line, linesOf, rebuilt } from '../../support/forge-release.ts';

/** The good bundle, its system as a text with one more reference. */
function textWith(kit: Kit, ...more: readonly number[]): Buffer {
  const lines = linesOf(kit.good);
  const [name, narHash, narSize, files, blocks, references] = lines.at(-1) as Line;
  const others = references.filter((r) => r !== lines.length - 1);
  const ca = `text:sha256:${'1'.repeat(52)}`;
  const text: Line = [name, narHash, narSize, files, blocks, [...others, ...more], ca];
  return rebuilt(kit, { lines: [...lines.slice(0, -1), text] });
}

export default {
  threat: 'a text that refers to itself, which makes Nix fail an assertion',
  refusedAs: ['manifest-malformed'],
  because: /it refers to itself, which a text path cannot/,
  control: (kit) => textWith(kit),
  make: (kit) => textWith(kit, linesOf(kit.good).length - 1),
} satisfies Attack;
