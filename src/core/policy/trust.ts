/** The parts of a policy that say whose bundles are trusted, and how large they may be. */
import { timestamp } from '../schema.ts';
import * as z from '../zod.ts';

/** What a key is good for, in the operator’s words: `build`, `approve`. */
export const roleName = z
  .string()
  .check(z.regex(/^[a-z][a-z0-9-]{0,31}$/, 'is not a role (such as “build” or “approve”)'));

/** How many keys of each role. */
export const rolesSchema = z._default(z.record(roleName, z.int().check(z.gte(1), z.lte(64))), {});

const keyWithUse = z
  .strictObject({
    /** Nix’s text form, `name:base64`. */
    key: z.string().check(z.maxLength(512)),
    roles: z._default(z.array(roleName).check(z.maxLength(16)), []),
    /** The first moment at which its signatures count. */
    notBefore: z.optional(timestamp),
    /** The first moment at which they no longer count. */
    notAfter: z.optional(timestamp),
  })
  .check(
    z.refine((k) => k.notBefore === undefined || k.notAfter === undefined || k.notBefore < k.notAfter, {
      path: ['notAfter'],
      message: 'is not after `notBefore`, so the key would never be valid',
    }),
  );

export type TrustedKey = z.output<typeof keyWithUse>;

export const trustedKey = z.union(
  [
    z.pipe(
      z.string().check(z.maxLength(512)),
      z.transform((key): TrustedKey => ({ key, roles: [] })),
    ),
    keyWithUse,
  ],
  { error: 'must be a key (name:base64) or an object with one' },
);

/** The name that signatures use for a key. */
export const keyNameOf = ({ key }: Pick<TrustedKey, 'key'>): string =>
  key.slice(0, Math.max(key.indexOf(':'), 0));

/** The roles with fewer keys than required. */
export function unmetRoles({
  trustedKeys,
  roles,
}: {
  readonly trustedKeys: readonly TrustedKey[];
  readonly roles: Readonly<Record<string, number>>;
}): string[] {
  const having = (role: string) => trustedKeys.filter((k) => k.roles.includes(role)).length;
  return Object.entries(roles).flatMap(([role, count]) => (having(role) < count ? [role] : []));
}

const tebibyte = 1024 ** 4;

/** Sizes in bytes. A bundle beyond one of these is refused before its contents are read. */
export const policyLimits = z.strictObject({
  /** Everything signed, together: what the carrier holds. */
  bundleBytes: z._default(z.int().check(z.gte(1)), tebibyte),
  /** One store path, unpacked. */
  narBytes: z._default(z.int().check(z.gte(1)), tebibyte),
  /** All store paths, unpacked. */
  closureBytes: z._default(z.int().check(z.gte(1)), tebibyte),
  paths: z._default(z.int().check(z.gte(1)), 100_000),
  /** What must stay free in the store’s file system, and wherever something is unpacked on the way (target/update/room.ts). */
  freeBytes: z._default(z.int().check(z.gte(0)), 16 * 1024 * 1024),
  /**
   * How far a sequence may be ahead of the newest taken. Threat: a mistyped (or malicious) absurd sequence, after which
   * no honest bundle is ever newer.
   */
  sequenceJump: z._default(z.int().check(z.gte(1)), Number.MAX_SAFE_INTEGER),
  /**
   * How far a signed time may be ahead of the clock, in seconds. Threat: a signed time far in the future, which the time floor
   * adopts: keys have expired, windows stay shut, and no honest clock is believed again.
   */
  createdAhead: z._default(z.int().check(z.gte(0)), 366 * 86_400),
});

export type PolicyLimits = z.output<typeof policyLimits>;
