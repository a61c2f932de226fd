/**
 * What is damaged of the systems a machine runs or would go back to: found by contents, for Nix’s database only says what was once there.
 * Pure.
 */
import { storePath } from '../schema.ts';
import { sizeText } from '../size.ts';
import { nameOf, type StorePath } from '../store-path.ts';
import * as z from '../zod.ts';

/** What a path turned out to be when it was read from disk. */
export type OnDisk =
  | { readonly kind: 'read'; readonly narHash: string }
  | { readonly kind: 'missing' }
  | { readonly kind: 'unreadable'; readonly detail: string };

/**
 * - `altered`, `missing`, `unreadable`: the contents are damaged, and it is known what they were.
 * - `unknown`: contents and database disagree, and nothing signed says which of them is right.
 * - `database`: the contents are as signed; the database is wrong.
 * - `differs`: the contents are neither what was signed, nor damaged by accident alone.
 * - `unregistered`: a system needs it, and Nix’s database does not know it.
 */
export const damageKinds = [
  'altered',
  'missing',
  'unreadable',
  'unknown',
  'database',
  'differs',
  'unregistered',
] as const;
export type DamageKind = (typeof damageKinds)[number];

/** What putting the right contents in its place repairs. */
const replaceable: ReadonlySet<string> = new Set<DamageKind>(['altered', 'missing', 'unreadable']);

export const isReplaceable = ({ what }: Pick<DamagedPath, 'what'>): boolean => replaceable.has(what);

export interface Evidence {
  readonly onDisk: OnDisk;
  /** What the database says. */
  readonly stored: { readonly narHash: string };
  /** Whether a key this machine trusts has signed exactly that. */
  readonly isStoredSigned: boolean;
  /** NAR hashes of the path in verified indexes at hand. */
  readonly signed: readonly string[];
}

/** Undefined if nothing is wrong with it, as far as anybody can tell. */
export function judgeContents({ onDisk, stored, isStoredSigned, signed }: Evidence): DamageKind | undefined {
  const isSigned = (hash: string) => signed.includes(hash) || (isStoredSigned && hash === stored.narHash);
  const isProven = signed.length > 0 || isStoredSigned;
  if (onDisk.kind !== 'read') return !isProven || isSigned(stored.narHash) ? onDisk.kind : 'differs';
  if (onDisk.narHash === stored.narHash) return !isProven || isSigned(stored.narHash) ? undefined : 'differs';
  if (!isProven) return 'unknown';
  if (isSigned(stored.narHash)) return 'altered';
  return isSigned(onDisk.narHash) ? 'database' : 'differs';
}

const count = z.int().check(z.gte(0), z.lte(Number.MAX_SAFE_INTEGER));

/** More are only counted. */
export const mostDamaged = 1000;

const damagedPath = z.looseObject({
  path: storePath,
  /** One of `damageKinds`, or a newer nixmaker’s. */
  what: z.string().check(z.maxLength(64)),
  /** What the contents should be, by the database: `sha256:` and base 32, and bytes. */
  narHash: z.optional(z.string().check(z.maxLength(64))),
  narSize: count,
  detail: z.optional(z.string().check(z.maxLength(1000))),
});

export interface DamagedPath {
  readonly path: StorePath;
  readonly what: string;
  readonly narHash?: string | undefined;
  readonly narSize: number;
  readonly detail?: string | undefined;
}

/** What is known of the contents of this machine’s systems: root’s record, made a part at a time. */
export const contentsRecord = z.looseObject({
  schema: z.int().check(z.gte(1)),
  /** When all of it had last been read. */
  finished: z.optional(z.string().check(z.maxLength(64))),
  /** When the present pass began; it is read on behind this path. */
  began: z.optional(z.string().check(z.maxLength(64))),
  after: z.optional(storePath),
  /** Paths read in the last whole pass, and how many of them only the database vouches for. */
  paths: count,
  unsigned: count,
  damaged: z.array(damagedPath).check(z.maxLength(mostDamaged)),
  /** Beyond those listed. */
  more: count,
});

export interface ContentsRecord {
  readonly schema: number;
  readonly finished?: string | undefined;
  readonly began?: string | undefined;
  readonly after?: StorePath | undefined;
  readonly paths: number;
  readonly unsigned: number;
  readonly damaged: readonly DamagedPath[];
  readonly more: number;
}

export const nothingRead: ContentsRecord = { schema: 1, paths: 0, unsigned: 0, damaged: [], more: 0 };

/** In receipts: what the desk needs to know to send what is missing. */
export const damageReport = z.strictObject({
  /** When all contents had last been read; undefined if never. */
  checked: z.optional(z.string().check(z.maxLength(64))),
  paths: z
    .array(z.strictObject({ path: storePath, what: z.string().check(z.maxLength(64)), narSize: count }))
    .check(z.maxLength(mostDamaged)),
  /** Damaged paths beyond those listed. */
  more: count,
});

export type DamageReport = z.infer<typeof damageReport>;

/** Undefined if nothing has been read yet. */
export function reportOf(record: ContentsRecord): DamageReport | undefined {
  if (record.finished === undefined && record.damaged.length === 0) return undefined;
  const paths = record.damaged.map(({ path, what, narSize }) => ({ path, what, narSize }));
  return { ...(record.finished === undefined ? {} : { checked: record.finished }), paths, more: record.more };
}

const kindTexts: Readonly<Record<DamageKind, string>> = {
  altered: 'altered',
  missing: 'missing',
  unreadable: 'cannot be read',
  unknown: 'not what Nix’s database says, and nothing at hand shows which of the two is wrong',
  database: 'as signed, but Nix’s database has another hash',
  differs: 'not what was signed',
  unregistered: 'not in Nix’s database',
};

export const damageText = ({ path, what, narSize, detail }: DamagedPath): string => {
  const text = Object.hasOwn(kindTexts, what) ? kindTexts[what as DamageKind] : what;
  return `${path} (${sizeText(narSize)}): ${text}${detail === undefined ? '' : ` (${detail})`}`;
};

/** For one line: the first few by name. */
export function damagedNames(paths: readonly { readonly path: string }[], more = 0): string {
  const names = paths.slice(0, 3).map(({ path }) => nameOf(path as StorePath));
  const others = paths.length - names.length + more;
  return `${names.join(', ')}${others === 0 ? '' : ` and ${others} more`}`;
}
