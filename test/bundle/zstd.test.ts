/** What a streaming decoder gives is what was compressed, however slowly it is read. */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { setTimeout as passed } from 'node:timers/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { decompress } from '../../src/bundle/zstd.ts';

const sha = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex');

/** Each of these, compressed, in a block of its own. */
async function compressed(parts: readonly Buffer[]): Promise<Buffer[]> {
  const encoder = createZstdCompress();
  const blocks: Buffer[] = [];
  for (const part of parts) {
    encoder.write(part);
    await new Promise<void>((resolve) => encoder.flush(constants.ZSTD_e_flush, resolve));
    const chunks: Buffer[] = [];
    for (let chunk = encoder.read(); chunk !== null; chunk = encoder.read()) chunks.push(chunk);
    blocks.push(Buffer.concat(chunks));
  }
  encoder.end();
  return [...blocks, ...((await encoder.toArray()) as Buffer[])];
}

test('small parts that come while nobody reads are in their place', async () => {
  // The first fills what the decoder gives at a time; the next two wait together, and are put together.
  const parts = [1024 * 1024, 700, 800, 300_000, 900_000].map((size, i) => Buffer.alloc(size, `part ${i} `));
  const blocks = await compressed(parts);
  let resume: () => void = () => undefined;
  const reading = new Promise<void>((resolve) => {
    resume = resolve;
  });
  async function* source() {
    yield* blocks.slice(0, 3);
    await reading;
    await passed(20);
    yield* blocks.slice(3);
  }
  const size = parts.reduce((sum, { length }) => sum + length, 0);
  const got: Buffer[] = [];
  for await (const chunk of decompress(source(), { size, windowLogMax: 23 })) {
    got.push(Buffer.from(chunk));
    if (got.length > 1) continue;
    await passed(100);
    resume();
  }
  assert.equal(sha(Buffer.concat(got)), sha(Buffer.concat(parts)));
});
