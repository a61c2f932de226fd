/** What the manifests of a pool name, for as many hosts as there may be: of each only what telling and clearing away need. */
import type { Manifest } from '../core/bundle/manifest.ts';
import type { NamedMember } from '../core/bundle/manifest-glance.ts';

/** A manifest, or as much of one as is needed here. */
export interface Listed extends Pick<Manifest, 'host' | 'sequence'> {
  readonly members: readonly NamedMember[];
}

type Entry = Pick<Manifest, 'host' | 'sequence'>;

export class PoolIndex {
  /** By host and sequence; members are one object for all manifests that name them, since most share most. */
  readonly #listed = new Map<string, Map<number, readonly NamedMember[]>>();
  readonly #members = new Map<string, Map<string, { readonly member: NamedMember; uses: number }>>();

  /** In the place of what was there under the same host and sequence. */
  add({ host, sequence, members }: Listed): void {
    this.remove({ host, sequence });
    const sequences = this.#listed.get(host) ?? new Map<number, readonly NamedMember[]>();
    this.#listed.set(host, sequences);
    sequences.set(
      sequence,
      members.map((member) => this.#use(member)),
    );
  }

  remove({ host, sequence }: Entry): void {
    const sequences = this.#listed.get(host);
    for (const { name, sha256 } of sequences?.get(sequence) ?? []) {
      const digests = this.#members.get(name);
      const known = digests?.get(sha256);
      if (digests === undefined || known === undefined) continue;
      known.uses -= 1;
      if (known.uses === 0) digests.delete(sha256);
      if (digests.size === 0) this.#members.delete(name);
    }
    sequences?.delete(sequence);
    if (sequences?.size === 0) this.#listed.delete(host);
  }

  #use({ name, sha256 }: NamedMember): NamedMember {
    const digests = this.#members.get(name) ?? new Map();
    this.#members.set(name, digests);
    const known = digests.get(sha256) ?? { member: { name, sha256 }, uses: 0 };
    digests.set(sha256, known);
    known.uses += 1;
    return known.member;
  }

  hosts(): string[] {
    return [...this.#listed.keys()];
  }

  /** The highest sequence of a host; 0 where there is none. */
  newest(host: string): number {
    return Math.max(0, ...(this.#listed.get(host)?.keys() ?? []));
  }

  /** Whether any manifest names it. */
  needs(name: string): boolean {
    return this.#members.has(name);
  }

  /** The digests under which manifests other than this one name each of its members that they name at all. */
  digestsBeside({ host, sequence, members }: Listed): Map<string, ReadonlySet<string>> {
    const own = new Map(
      this.#listed
        .get(host)
        ?.get(sequence)
        ?.map(({ name, sha256 }) => [name, sha256]),
    );
    return new Map(
      members.flatMap(({ name }) => {
        const others = [...(this.#members.get(name) ?? [])].filter(
          ([sha256, { uses }]) => uses > (own.get(name) === sha256 ? 1 : 0),
        );
        return others.length === 0 ? [] : [[name, new Set(others.map(([sha256]) => sha256))] as const];
      }),
    );
  }
}
