/**
 * What a path is made of, in a few numbers: two paths that have much in common share many of them, whatever their names and
 * wherever in them it is. Pure.
 *
 * A rolling sum is computed over every window of 32 bytes (the “gear” of FastCDC, Xia et al., USENIX ATC 2016); those ending in a value
 * that one window in 256 has are considered, and the smallest of them, mixed, are kept (“bottom-k”, Broder, SEQUENCES 1997): the share
 * of numbers that two sketches have in common estimates the share of their windows.
 */

/** Ascending. */
export type Sketch = Uint32Array;

/** How many numbers a sketch has. */
const size = 128;

/** A number for each byte, the same on every machine: the high bits of a multiplicative sequence. */
const gear = Uint32Array.from({ length: 256 }, (_, i) => mixed(i * 0x9e37_79b1 + 0x7f4a_7c15));

function mixed(value: number): number {
  let x = value | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85eb_ca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2_ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

export class Sketcher {
  #rolling = 0;
  #kept = new Set<number>();
  #most = 0xffff_ffff;

  add(chunk: Uint8Array): void {
    let rolling = this.#rolling;
    for (let i = 0; i < chunk.length; i++) {
      rolling = ((rolling << 1) + (gear[chunk[i] as number] as number)) | 0;
      if (rolling >>> 24 === 0) this.#meet(mixed(rolling));
    }
    this.#rolling = rolling;
  }

  #meet(value: number): void {
    if (value > this.#most) return;
    this.#kept.add(value);
    if (this.#kept.size >= 8 * size) this.#shrink();
  }

  #shrink(): Sketch {
    const smallest = Uint32Array.from(this.#kept).sort().slice(0, size);
    this.#kept = new Set(smallest);
    if (smallest.length === size) this.#most = smallest[size - 1] as number;
    return smallest;
  }

  end(): Sketch {
    return this.#shrink();
  }
}

/** From 0, nothing in common, to 1. */
export function likeness(one: Sketch, other: Sketch): number {
  const most = Math.min(size, Math.max(one.length, other.length));
  let [i, j, seen, common] = [0, 0, 0, 0];
  // The smallest of both combined.
  while (seen < most && (i < one.length || j < other.length)) {
    const [a, b] = [one[i] ?? Number.POSITIVE_INFINITY, other[j] ?? Number.POSITIVE_INFINITY];
    if (a === b) common += 1;
    if (a <= b) i += 1;
    if (b <= a) j += 1;
    seen += 1;
  }
  return seen === 0 ? 0 : common / seen;
}
