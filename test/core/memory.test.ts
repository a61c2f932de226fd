/** Which buffers’ memory is given back: only what is nobody else’s. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { giveBack, giveBackAround } from '../../src/core/memory.ts';

test('a buffer of its own is empty afterwards, also with a byte to spare; giving it back twice does nothing', () => {
  for (const bytes of [Buffer.alloc(100_000), Buffer.alloc(100_001).subarray(0, 100_000)]) {
    giveBack(bytes);
    assert.equal(bytes.length, 0);
    giveBack(bytes);
  }
});

test('what is small or a part of another’s memory is left alone', () => {
  const whole = Buffer.alloc(1_000_000, 1);
  const shared = new Uint8Array(new SharedArrayBuffer(100_000));
  for (const bytes of [Buffer.from('small'), Buffer.allocUnsafe(1000), whole.subarray(0, 500_000), shared]) {
    const { length } = bytes;
    giveBack(bytes);
    assert.equal(bytes.length, length);
  }
  assert.equal(whole[999_999], 1);
});

test('parts are given back with all that is around them, but never the pool of small ones', () => {
  const own = Buffer.alloc(1_000_000, 1);
  const parts = [own.subarray(0, 10), own.subarray(10, 300_000)];
  giveBackAround(parts);
  assert.deepEqual([own.length, ...parts.map(({ length }) => length)], [0, 0, 0]);
  giveBackAround(parts);
  const shared = new Uint8Array(new SharedArrayBuffer(100_000));
  for (const bytes of [Buffer.from('small'), Buffer.allocUnsafe(1000), Buffer.alloc(60_000), shared]) {
    const { length } = bytes;
    giveBackAround([bytes]);
    assert.equal(bytes.length, length);
  }
});
