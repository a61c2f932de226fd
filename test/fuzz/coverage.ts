/** What has been reached so far, and whether an input has reached more. */
import { branchesKnown, counters } from './instrument.ts';

export class Reached {
  /** Of each branch, in bits, about how often it has been taken: once, twice, up to four times, and so on. */
  #seen = new Uint8Array(counters.length);

  /** Takes what was counted since `clear`. @returns whether there was anything new */
  add(): boolean {
    let isNew = false;
    for (let i = 0; i < branchesKnown(); i++) {
      const count = counters[i] as number;
      if (count === 0) continue;
      const bit = 1 << Math.min(7, 31 - Math.clz32(count));
      if (((this.#seen[i] as number) & bit) !== 0) continue;
      this.#seen[i] = (this.#seen[i] as number) | bit;
      isNew = true;
    }
    return isNew;
  }

  /** Branches. */
  get size(): number {
    return this.#seen.reduce((sum, bits) => sum + (bits === 0 ? 0 : 1), 0);
  }
}

export const clear = (): void => {
  counters.fill(0, 0, branchesKnown());
};
