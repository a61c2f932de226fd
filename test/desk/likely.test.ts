/** Which paths a changed one may come from: found without holding more than two NARs in memory, however many are compared at once. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { type HashedPath, Likely } from '../../src/desk/build/likely.ts';
import { storePathOf } from '../support/releases.ts';

const pathOf = (n: number, name: string): HashedPath => ({
  path: storePathOf(n, name) as HashedPath['path'],
  narSize: 100_000,
  narHash: '',
});

test('of several namesakes the one with the same contents comes first, and two NARs at most are held at a time', async () => {
  const changed = Array.from({ length: 8 }, (_, i) => pathOf(i + 1, `tool${i}-2.0`));
  const bases = changed.flatMap((_, i) => [0, 1, 2].map((n) => pathOf(100 + 3 * i + n, `tool${i}-1.${n}`)));
  const contents = changed.map(() => randomBytes(100_000));
  let [held, most] = [0, 0];
  const read = async ({ path }: HashedPath) => {
    held += 1;
    most = Math.max(most, held);
    await new Promise((resolve) => setImmediate(resolve));
    held -= 1;
    const at = Number(/tool(\d)-/.exec(path)?.[1]);
    return /-(2\.0|1\.1)$/.test(path) ? contents[at] : randomBytes(100_000);
  };
  const likely = new Likely({ read, bases, gone: bases }, changed);
  const found = await Promise.all(changed.map((info) => likely.of(info)));
  for (const [i, all] of found.entries()) assert.equal(all[0]?.path, bases[3 * i + 1]?.path);
  assert.equal(most, 2);
});
