/**
 * Advisories in OSV’s form (https://ossf.github.io/osv-schema/), held against the names and versions of store paths. Pure.
 *
 * Store paths have the names and versions of nixpkgs, and say nothing of patches: a finding is a reason to look, and no finding is no
 * proof. What an advisory does not say in a way that can be compared is reported as unclear, never as well.
 */
import { compareVersions, splitDrvName } from './nix-version.ts';
import { nameOf, type StorePath } from './store-path.ts';
import * as z from './zod.ts';

const text = z.string().check(z.maxLength(4096));
const event = z.looseObject({
  introduced: z.optional(text),
  fixed: z.optional(text),
  last_affected: z.optional(text),
});
const affected = z.looseObject({
  package: z.optional(z.looseObject({ ecosystem: text, name: text })),
  ranges: z._default(
    z
      .array(z.looseObject({ type: text, events: z.array(event).check(z.maxLength(10_000)) }))
      .check(z.maxLength(1000)),
    [],
  ),
  versions: z._default(z.array(text).check(z.maxLength(100_000)), []),
});
const advisory = z.looseObject({
  id: text,
  summary: z.optional(text),
  withdrawn: z.optional(text),
  aliases: z._default(z.array(text).check(z.maxLength(1000)), []),
  affected: z._default(z.array(affected).check(z.maxLength(10_000)), []),
});

type Affected = z.infer<typeof affected>;
export type Advisory = z.infer<typeof advisory>;

export interface Advisories {
  /** Without those that were withdrawn. */
  readonly advisories: readonly Advisory[];
  /** Entries that are no advisories. */
  readonly unreadable: number;
}

/**
 * One advisory, a list of them, or `{"vulns": […]}` as OSV’s own tools write it.
 * @returns undefined if it is none of these
 */
export function parseAdvisories(json: unknown): Advisories | undefined {
  const vulns = typeof json === 'object' && json !== null && 'vulns' in json ? json.vulns : undefined;
  const entries = Array.isArray(json) ? json : Array.isArray(vulns) ? vulns : [json];
  const read = entries.map((entry: unknown) => advisory.safeParse(entry).data);
  const known = read.filter((entry) => entry !== undefined);
  if (known.length === 0 && entries.length > 0) return undefined;
  return {
    advisories: known.filter(({ withdrawn }) => withdrawn === undefined),
    unreadable: read.length - known.length,
  };
}

export interface Match {
  readonly advisory: Advisory;
  readonly path: StorePath;
  readonly name: string;
  readonly version: string;
  /** Whether the version is known to be affected; otherwise nobody can tell from what the advisory says. */
  readonly isCertain: boolean;
}

/** An advisory per package name, so that a system’s thousands of paths are looked up, not compared with each. */
export class AdvisoryBook {
  readonly #byName = new Map<string, { readonly advisory: Advisory; readonly affected: Affected }[]>();

  constructor(advisories: readonly Advisory[]) {
    for (const each of advisories)
      for (const one of each.affected) {
        const name = one.package?.name;
        if (name === undefined) continue;
        const there = this.#byName.get(name);
        if (there === undefined) this.#byName.set(name, [{ advisory: each, affected: one }]);
        else there.push({ advisory: each, affected: one });
      }
  }

  /** In the order of the paths; each advisory once for each name and version. */
  matches(paths: Iterable<StorePath>): Match[] {
    const found = new Map<string, Match>();
    for (const path of paths) {
      const { name, version } = splitDrvName(nameOf(path));
      for (const { advisory: each, affected: one } of this.#byName.get(name) ?? []) {
        const judged = judge(version, one);
        const key = `${each.id} ${name} ${version}`;
        if (judged === 'no' || found.get(key)?.isCertain === true) continue;
        found.set(key, { advisory: each, path, name, version, isCertain: judged === 'yes' });
      }
    }
    return [...found.values()];
  }
}

type Judged = 'yes' | 'no' | 'unclear';

/** OSV’s own evaluation: a version that is listed, or within a range. */
function judge(version: string, { versions, ranges }: Affected): Judged {
  // An output’s name is behind its version: `3.0.14-bin`.
  const plain = version.replace(/-[a-z]+$/, '');
  if (versions.includes(version) || versions.includes(plain)) return 'yes';
  const comparable = ranges.filter(({ type }) => type !== 'GIT');
  if (comparable.length === 0) return versions.length > 0 ? 'no' : 'unclear';
  // Sources, scripts and configuration files have no version.
  if (version === '') return 'unclear';
  return comparable.some(({ events }) => isWithin(plain, events)) ? 'yes' : 'no';
}

function isWithin(version: string, events: readonly z.infer<typeof event>[]): boolean {
  const at = (e: z.infer<typeof event>) => e.introduced ?? e.fixed ?? e.last_affected ?? '';
  const inOrder = events.toSorted(
    (a, b) => fromStart(at(a)) - fromStart(at(b)) || compareVersions(at(a), at(b)),
  );
  let isIn = false;
  for (const { introduced, fixed, last_affected: last } of inOrder) {
    if (introduced !== undefined && (introduced === '0' || compareVersions(version, introduced) >= 0))
      isIn = true;
    else if (fixed !== undefined && compareVersions(version, fixed) >= 0) isIn = false;
    else if (last !== undefined && compareVersions(version, last) > 0) isIn = false;
  }
  return isIn;
}

/** `0` is before every version. */
const fromStart = (version: string): number => (version === '0' ? 0 : 1);
