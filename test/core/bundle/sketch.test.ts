/** Sketches: what two paths have in common, told by a few numbers. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { likeness, type Sketch, Sketcher } from '../../../src/core/bundle/sketch.ts';

/** As random as bytes get, and the same each time. */
const bytesOf = (seed: string, length: number): Buffer =>
  Buffer.concat(
    Array.from({ length: Math.ceil(length / 32) }, (_, i) =>
      createHash('sha256').update(`${seed} ${i}`).digest(),
    ),
  ).subarray(0, length);

function sketchOf(...chunks: readonly Uint8Array[]): Sketch {
  const sketcher = new Sketcher();
  for (const chunk of chunks) sketcher.add(chunk);
  return sketcher.end();
}

test('however the bytes come, the sketch is the same', () => {
  const bytes = bytesOf('one', 60_000);
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 5 }), (cuts) => {
      const at = [0, ...cuts.sort((a, b) => a - b), bytes.length];
      const chunks = at.slice(1).map((end, i) => bytes.subarray(at[i], end));
      assert.deepEqual(sketchOf(...chunks), sketchOf(bytes));
    }),
  );
});

test('likeness is the same from both sides, of a path to itself all, and of any two between nothing and all', () => {
  const sketch = fc.uint8Array({ minLength: 0, maxLength: 40_000 }).map((bytes) => sketchOf(bytes));
  fc.assert(
    fc.property(sketch, sketch, (one, other) => {
      assert.equal(likeness(one, other), likeness(other, one));
      assert.equal(likeness(one, one), one.length === 0 ? 0 : 1);
      assert.ok(likeness(one, other) >= 0 && likeness(one, other) <= 1);
    }),
  );
});

test('what was moved, and has something before it and within it, is alike; what has nothing in common is not', () => {
  const bytes = bytesOf('two', 400_000);
  const moved = Buffer.concat([
    bytesOf('before', 5000),
    bytes.subarray(200_000),
    bytesOf('x', 99),
    bytes.subarray(0, 200_000),
  ]);
  assert.ok(likeness(sketchOf(bytes), sketchOf(moved)) > 0.8);
  assert.ok(likeness(sketchOf(bytes), sketchOf(bytesOf('three', 400_000))) < 0.05);
  const half = Buffer.concat([bytes.subarray(0, 200_000), bytesOf('four', 200_000)]);
  const alike = likeness(sketchOf(bytes), sketchOf(half));
  assert.ok(alike > 0.15 && alike < 0.55, `a third of both together: ${alike}`);
});
