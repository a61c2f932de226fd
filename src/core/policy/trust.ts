/** The parts of a policy that say whose bundles are trusted, and how large they may be. */
import * as z from 'zod';
import { timestamp } from '../schema.ts';

/** What a key is good for, in the operator’s words: `build`, `approve`. */
export const roleName = z
  .string()
  .regex(/^[a-z][a-z0-9-]{0,31}$/, 'is not a role (such as “build” or “approve”)');

/** How many keys of each role. */
export const rolesSchema = z.record(roleName, z.number().int().min(1).max(64)).default({});

const keyWithUse = z
  .strictObject({
    /** Nix’s text form, `name:base64`. */
    key: z.string().max(512),
    roles: z.array(roleName).max(16).default([]),
    /** The first moment at which its signatures count. */
    notBefore: timestamp.optional(),
    /** The first moment at which they no longer count. */
    notAfter: timestamp.optional(),
  })
  .refine((k) => k.notBefore === undefined || k.notAfter === undefined || k.notBefore < k.notAfter, {
    path: ['notAfter'],
    message: 'is not after `notBefore`, so the key would never be valid',
  });

export type TrustedKey = z.output<typeof keyWithUse>;

export const trustedKey = z.union(
  [
    z
      .string()
      .max(512)
      .transform((key): TrustedKey => ({ key, roles: [] })),
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
  bundleBytes: z.number().int().min(1).default(tebibyte),
  /** One store path, unpacked. */
  narBytes: z.number().int().min(1).default(tebibyte),
  /** All store paths, unpacked. */
  closureBytes: z.number().int().min(1).default(tebibyte),
  paths: z.number().int().min(1).default(100_000),
  /** What must stay free in the store’s file system, and wherever something is unpacked on the way (target/update/room.ts). */
  freeBytes: z
    .number()
    .int()
    .min(0)
    .default(16 * 1024 * 1024),
  /**
   * How far a sequence may be ahead of the newest taken. Threat: a mistyped (or malicious) absurd sequence, after which
   * no honest bundle is ever newer.
   */
  sequenceJump: z.number().int().min(1).default(Number.MAX_SAFE_INTEGER),
  /**
   * How far a signed time may be ahead of the clock, in seconds. Threat: a signed time far in the future, which the time floor
   * adopts: keys have expired, windows stay shut, and no honest clock is believed again.
   */
  createdAhead: z
    .number()
    .int()
    .min(0)
    .default(366 * 86_400),
});

export type PolicyLimits = z.output<typeof policyLimits>;
