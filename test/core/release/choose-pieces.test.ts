import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { choosePieces } from '../../../src/core/release/choose-pieces.ts';
import type { DeltaPiece, Piece } from '../../../src/core/release/contents-file.ts';
import { digits, storePathOf } from '../../support/releases.ts';

const whole = (line: number): Piece => ({ kind: 'whole', line, size: 5, digest: digits(line, 52) });
const delta = (line: number, base: number): DeltaPiece => ({
  kind: 'delta',
  line,
  size: 1,
  digest: digits(1000 * line + base, 52),
  base: storePathOf(base),
  baseNarHash: digits(base, 52),
});
const isThere =
  (...bases: readonly number[]) =>
  ({ base }: DeltaPiece) =>
    bases.some((n) => storePathOf(n) === base);

test('of several ways the first that can be gone is gone: one set of pieces serves machines with several bases', () => {
  const offered = new Map([[4, [delta(4, 1), delta(4, 2), whole(4)]]]);
  const chosen = (...bases: readonly number[]) => choosePieces([4], offered, isThere(...bases)).pieces.get(4);
  assert.deepEqual(chosen(1, 2), delta(4, 1));
  assert.deepEqual(chosen(2), delta(4, 2));
  assert.deepEqual(chosen(), whole(4));
});

test('the order is the desk’s: a whole piece that comes first is not passed over for a difference', () => {
  const offered = new Map([[0, [whole(0), delta(0, 1)]]]);
  assert.deepEqual(choosePieces([0], offered, isThere(1)).pieces.get(0), whole(0));
});

test('what can’t be had is told with the first base that would have done, and without one where there is no way at all', () => {
  const offered = new Map([[1, [delta(1, 8), delta(1, 9)]]]);
  const { pieces, lacking } = choosePieces([0, 1], offered, isThere());
  assert.equal(pieces.size, 0);
  assert.deepEqual(lacking, [
    { line: 0, base: undefined },
    { line: 1, base: storePathOf(8) },
  ]);
});

test('what is not missing is not looked at', () => {
  const { pieces, lacking } = choosePieces([], new Map([[0, [delta(0, 1)]]]), () => assert.fail());
  assert.deepEqual([pieces.size, lacking.length], [0, 0]);
});

test('every missing line is either had, in a way that was offered for it and can be gone, or lacking', () => {
  const way = fc.oneof(fc.constant(undefined), fc.nat(5));
  const offers = fc.array(fc.array(way, { maxLength: 4 }), { maxLength: 10 });
  fc.assert(
    fc.property(offers, fc.subarray([0, 1, 2, 3, 4, 5]), fc.func(fc.boolean()), (all, bases, isMissing) => {
      const offered = new Map(
        all.map((ways, line) => [line, ways.map((w) => (w === undefined ? whole(line) : delta(line, w)))]),
      );
      const missing = [...offered.keys()].filter((line) => isMissing(line));
      const usable = isThere(...bases);
      const { pieces, lacking } = choosePieces(missing, offered, usable);
      assert.deepEqual([...pieces.keys(), ...lacking.map((l) => l.line)].sort(), missing.toSorted());
      for (const [line, ways] of offered) {
        const can = ways.filter((piece) => piece.kind === 'whole' || usable(piece));
        if (missing.includes(line)) assert.equal(pieces.get(line), can[0]);
      }
    }),
  );
});
