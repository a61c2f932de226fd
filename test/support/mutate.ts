/** Bytes changed at random, the same way for the same seed. */

/** mulberry32: a small generator whose whole state is one number; for tests, not for secrets. */
export function randomFrom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * below);
  };
}

type Random = (below: number) => number;

/** Some bytes from somewhere, at most as many as there are. */
function range(bytes: Buffer, random: Random): [number, number] {
  const from = random(bytes.length);
  // Mostly a few bytes, now and then blocks.
  const length = random(4) === 0 ? 512 * (1 + random(4)) : 1 + random(8);
  return [from, Math.min(bytes.length, from + length)];
}

const ways: readonly ((bytes: Buffer, random: Random) => Buffer)[] = [
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    const at = random(copy.length);
    copy[at] = (copy[at] ?? 0) ^ (1 << random(8));
    return copy;
  },
  (bytes, random) => {
    const copy = Buffer.from(bytes);
    const [from, to] = range(bytes, random);
    for (let i = from; i < to; i++) copy[i] = random(256);
    return copy;
  },
  (bytes, random) => {
    const [from, to] = range(bytes, random);
    return Buffer.concat([bytes.subarray(0, from), bytes.subarray(to)]);
  },
  (bytes, random) => {
    const [from, to] = range(bytes, random);
    return Buffer.concat([bytes.subarray(0, to), bytes.subarray(from)]);
  },
  (bytes, random) => {
    const [from, to] = range(bytes, random);
    const [other] = range(bytes, random);
    const copy = Buffer.from(bytes);
    bytes.copy(copy, other, from, to);
    return copy;
  },
  (bytes, random) => bytes.subarray(0, random(bytes.length)),
  (bytes, random) => Buffer.concat([bytes, Buffer.alloc(1 + random(2000), random(256))]),
];

/** One to three changes; now and then they amount to none. */
export function mutate(bytes: Buffer, random: Random): Buffer {
  let changed = bytes;
  for (let n = 1 + random(3); n > 0 && changed.length > 0; n--)
    changed = (ways[random(ways.length)] as (typeof ways)[number])(changed, random);
  return changed;
}
