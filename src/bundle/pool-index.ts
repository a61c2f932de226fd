/** What the entries of a pool need, for as many hosts as there may be: of each only what telling and clearing away need. */

/** An entry, and the names below `cache/` of all that belongs to it. */
export interface Listed {
  readonly host: string;
  readonly sequence: number;
  readonly needs: Iterable<string>;
}

type Entry = Pick<Listed, 'host' | 'sequence'>;

export class PoolIndex {
  readonly #listed = new Map<string, Map<number, readonly string[]>>();
  /** By name: how many entries need it. One string for all of them, since most share most. */
  readonly #uses = new Map<string, { readonly name: string; count: number }>();

  /** In the place of what was there under the same host and sequence. */
  add({ host, sequence, needs }: Listed): void {
    this.remove({ host, sequence });
    const sequences = this.#listed.get(host) ?? new Map<number, readonly string[]>();
    this.#listed.set(host, sequences);
    sequences.set(
      sequence,
      [...new Set(needs)].map((name) => this.#use(name)),
    );
  }

  remove({ host, sequence }: Entry): void {
    const sequences = this.#listed.get(host);
    for (const name of sequences?.get(sequence) ?? []) {
      const use = this.#uses.get(name);
      if (use === undefined) continue;
      use.count -= 1;
      if (use.count === 0) this.#uses.delete(name);
    }
    sequences?.delete(sequence);
    if (sequences?.size === 0) this.#listed.delete(host);
  }

  #use(name: string): string {
    const use = this.#uses.get(name) ?? { name, count: 0 };
    use.count += 1;
    this.#uses.set(name, use);
    return use.name;
  }

  hosts(): string[] {
    return [...this.#listed.keys()];
  }

  /** The highest sequence of a host; 0 where there is none. */
  newest(host: string): number {
    return Math.max(0, ...(this.#listed.get(host)?.keys() ?? []));
  }

  /** Whether any entry needs it. */
  needs(name: string): boolean {
    return this.#uses.has(name);
  }
}
