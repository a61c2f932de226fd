/** Rings: which hosts get a release first, and what must be known about them before the next ones get it. */
import { NixmakerError } from './errors.ts';
import { matchesHost } from './host-pattern.ts';
import { describeIssues } from './schema.ts';
import * as z from './zod.ts';

const ringSchema = z.strictObject({
  name: z
    .string()
    .check(z.regex(/^[a-z0-9][a-z0-9-]{0,63}$/, 'is not a name of lower-case letters, digits and hyphens')),
  /** Names or patterns. A host belongs to the first ring that names it. */
  hosts: z
    .array(z.string().check(z.minLength(1), z.maxLength(256)))
    .check(z.minLength(1), z.maxLength(10_000)),
  /** What the previous ring must show, according to the receipts collected here. */
  after: z._default(
    z.strictObject({
      /** Counted from when the last of them was collected. */
      days: z._default(z.number().check(z.gte(0), z.lte(3650)), 0),
      /** How many hosts must have committed the release; all, if there are fewer. */
      committed: z._default(z.int().check(z.gte(1), z.lte(10_000)), 1),
    }),
    { days: 0, committed: 1 },
  ),
});

const ringsSchema = z
  .strictObject({ schema: z.literal(1), rings: z.array(ringSchema).check(z.minLength(1), z.maxLength(100)) })
  .check(
    z.refine(
      ({ rings }) => new Set(rings.map(({ name }) => name)).size === rings.length,
      'two rings have the same name',
    ),
  );

export type Ring = z.infer<typeof ringSchema>;

/** @throws NixmakerError `usage` */
export function parseRings(value: unknown): readonly Ring[] {
  const parsed = ringsSchema.safeParse(value);
  if (!parsed.success) throw new NixmakerError('usage', describeIssues(parsed.error));
  return parsed.data.rings;
}

export const ringOf = (rings: readonly Ring[], host: string): Ring | undefined =>
  rings.find(({ hosts }) => hosts.some((pattern) => matchesHost(pattern, host)));

/** What became of a release on a host. */
export interface RingRun {
  readonly sequence: number;
  readonly state: string;
  /** When its receipt was collected, by this desk’s clock: RFC 3339; undefined if unknown. */
  readonly collected: string | undefined;
}

export interface RingHost {
  readonly host: string;
  /** Sequence of the bundle that is here for it. */
  readonly sequence: number | undefined;
  /** Oldest first. */
  readonly runs: readonly RingRun[];
}

export type Turn =
  | { readonly isDue: true; readonly ring: string }
  | { readonly isDue: false; readonly ring: string | undefined; readonly why: string };

/**
 * Whose turn has come. A host’s release is the bundle that is here for it: the previous ring has it once its hosts have committed
 * *their* bundles that are here. What is not known does not count as committed.
 */
export function decideTurns(
  rings: readonly Ring[],
  hosts: readonly RingHost[],
  now: Date,
): ReadonlyMap<string, Turn> {
  const members = Map.groupBy(hosts, ({ host }) => ringOf(rings, host)?.name);
  const reasons = rings.map((ring, i) => {
    const before = rings[i - 1];
    return before === undefined
      ? undefined
      : whyNotAfter(before, members.get(before.name) ?? [], { ring, now });
  });
  return new Map(
    hosts.map(({ host }): [string, Turn] => {
      const at = rings.findIndex(({ name }) => name === ringOf(rings, host)?.name);
      const ring = rings[at]?.name;
      if (ring === undefined) return [host, { isDue: false, ring, why: 'it is in no ring' }];
      const why = reasons[at];
      return [host, why === undefined ? { isDue: true, ring } : { isDue: false, ring, why }];
    }),
  );
}

const dayMilliseconds = 86_400_000;
const failedStates: ReadonlySet<string> = new Set(['failed', 'rolled-back', 'refused']);

/** Undefined if nothing speaks against it. */
function whyNotAfter(
  before: Ring,
  members: readonly RingHost[],
  { ring, now }: { readonly ring: Ring; readonly now: Date },
): string | undefined {
  const compared = members.filter(({ sequence }) => sequence !== undefined);
  if (compared.length === 0)
    return `no bundle for a host of ring “${before.name}” is here, so nobody knows whether it has this release`;
  const bad = compared.find((member) => failedStates.has(lastRun(member)?.state ?? ''));
  if (bad !== undefined)
    return `${bad.host} of ring “${before.name}” did not keep release ${bad.sequence} (${lastRun(bad)?.state})`;
  const times = compared.flatMap((member) => committedAt(member) ?? []).toSorted((a, b) => a - b);
  const needed = Math.min(ring.after.committed, compared.length);
  const last = times[needed - 1];
  if (last === undefined)
    return `${times.length} of ${needed} hosts of ring “${before.name}” have committed this release`;
  const days = (now.getTime() - last) / dayMilliseconds;
  if (days >= ring.after.days) return undefined;
  return `ring “${before.name}” has had this release for ${Math.max(0, Math.floor(days))} of ${ring.after.days} days`;
}

const lastRun = ({ sequence, runs }: RingHost): RingRun | undefined =>
  runs.findLast((run) => run.sequence === sequence);

/** When that was first known here; of a host that lost it meanwhile, since it has it again. */
function committedAt({ sequence, runs }: RingHost): number | undefined {
  const own = runs.filter((run) => run.sequence === sequence);
  if (own.at(-1)?.state !== 'committed') return undefined;
  const times = own
    .slice(own.findLastIndex(({ state }) => failedStates.has(state)) + 1)
    .filter(({ state }) => state === 'committed')
    .map(({ collected }) => Date.parse(collected ?? ''));
  return times.find((time) => Number.isFinite(time));
}
