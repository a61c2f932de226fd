/** Made-up closures, for tests of an index and of what belongs to it. */
import { ReleaseIndex } from '../../src/core/release/index-file.ts';
import { encodeIndex, type IndexedPath } from '../../src/core/release/write-index.ts';
import { nix32, parseStorePath, type StorePath } from '../../src/core/store-path.ts';

/** Digits of base 32 that stand for a number. */
export function digits(number: number, length: number): string {
  let text = '';
  for (let rest = number; rest > 0 && text.length < length; rest = Math.floor(rest / 32))
    text = `${nix32[rest % 32]}${text}`;
  return text.padStart(length, nix32[0]);
}

export const storePathOf = (number: number, name = `p${number}`): StorePath =>
  parseStorePath(`/nix/store/${digits(number, 32)}-${name}`) as StorePath;

/** @param references by number */
export const indexedPath = (
  number: number,
  references: readonly number[] = [],
  { path = storePathOf(number), ...fields }: Partial<IndexedPath> = {},
): IndexedPath => ({
  path,
  narHash: digits(number, 52),
  narSize: 100 + number,
  files: 1,
  blocks: 1,
  references: references.map((r) => storePathOf(r)),
  ca: '',
  ...fields,
});

/** A chain of layers, as large closures have it: every path refers to some of the layer before. */
export function largeClosure(
  count: number,
  { perLayer = 1000, references = 8, nameLength = 30 } = {},
): IndexedPath[] {
  const name = 'x'.repeat(nameLength);
  const all = Array.from({ length: count }, (_, n) => storePathOf(n, `${name}-${n}`));
  const pathOf = (n: number) => all[n] as StorePath;
  const isReferred = new Uint8Array(count);
  const paths: IndexedPath[] = [];
  for (let n = 0; n < count - 1; n++) {
    const before = Math.floor(n / perLayer) * perLayer - perLayer;
    const to: StorePath[] = [];
    for (let i = 0; before >= 0 && i < references; i++) {
      const other = before + ((n * 7 + i * 13) % perLayer);
      if (!to.includes(pathOf(other))) to.push(pathOf(other));
      isReferred[other] = 1;
    }
    paths.push(indexedPath(n, [], { path: pathOf(n), references: to }));
  }
  const tops = all.filter((_, n) => n < count - 1 && isReferred[n] === 0);
  const root = indexedPath(count - 1, [], { path: pathOf(count - 1), references: tops });
  return [...paths, root];
}

/** The index of the last of the paths and what it refers to. */
export function indexOf(paths: readonly IndexedPath[]): ReleaseIndex {
  const root = paths.at(-1)?.path as StorePath;
  return ReleaseIndex.parse(Buffer.from(encodeIndex(paths, root).text), root);
}
