/** Small reads served from larger ones: the same bytes as without, however they come, and few reads of the file. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { ReadWindow } from '../../src/bundle/read-window.ts';
import { NixmakerError } from '../../src/core/errors.ts';
import { memoryFile } from '../fuzz/memory-file.ts';

const bytes = randomBytes(5000);

test('whatever is read, in whatever order and several at a time, is what the file has there', async () => {
  const read = fc.record({ position: fc.nat(5500), length: fc.nat(700), atOnce: fc.boolean() });
  await fc.assert(
    fc.asyncProperty(fc.array(read), async (reads) => {
      const window = new ReadWindow(memoryFile(bytes), 1000);
      const pending: Promise<void>[] = [];
      for (const { position, length, atOnce } of reads) {
        const buffer = Buffer.alloc(length);
        const reading = window.readInto(buffer, position).then((got) => {
          const there = bytes.subarray(position, position + length);
          assert.deepEqual(buffer.subarray(0, got), there);
        });
        pending.push(reading);
        if (!atOnce) await reading;
      }
      await Promise.all(pending);
    }),
  );
});

test('a hundred pieces one after another are few reads', async () => {
  const file = memoryFile(bytes);
  const lengths: number[] = [];
  const readInto: typeof file.readInto = (buffer, position) => {
    lengths.push(buffer.length);
    return file.readInto(buffer, position);
  };
  const window = new ReadWindow({ ...file, readInto }, 1000);
  for (let at = 0; at < bytes.length; at += 50)
    assert.deepEqual(await window.read(at, 50), bytes.subarray(at, at + 50));
  assert.deepEqual(lengths, [1000, 1000, 1000, 1000, 1000]);
  // What is large is not copied twice.
  await window.read(100, 900);
  assert.deepEqual(lengths.slice(5), [900]);
});

test('a read that fails fails alone, and what is not there any more is said', async () => {
  const file = memoryFile(bytes);
  let isPulled = true;
  const readInto: typeof file.readInto = (buffer, position) =>
    isPulled
      ? Promise.reject(new NixmakerError('medium-unreadable', 'gone'))
      : file.readInto(buffer, position);
  const window = new ReadWindow({ ...file, readInto }, 1000);
  await assert.rejects(window.read(0, 10), { code: 'medium-unreadable' });
  isPulled = false;
  assert.deepEqual(await window.read(0, 10), bytes.subarray(0, 10));
  const short = { code: 'bundle-truncated', detail: 'the file ends at byte 5000' };
  await assert.rejects(window.read(4990, 20), short);
  await assert.rejects(window.read(4000, 1001), { code: 'bundle-truncated' });
  assert.equal(await window.readInto(Buffer.alloc(20), 6000), 0);
});
