/**
 * The keys a machine trusts, as an object that travels by itself (TUF’s root role, adapted): version N+1 is trusted
 * if enough keys of version N have signed it, and enough of its own. Version 0 is the policy file.
 */
import { NixmakerError } from '../errors.ts';
import { describeIssues, hostName } from '../schema.ts';
import * as z from '../zod.ts';
import type { Policy } from './policy.ts';
import { keyNameOf, rolesSchema, type TrustedKey, trustedKey, unmetRoles } from './trust.ts';

/** Files with such a name are keyrings, wherever bundles are looked for. */
export const keyringExtension = '.keyring';

/** FAT and people write upper case. */
export const isKeyringName = (name: string): boolean => name.toLowerCase().endsWith(keyringExtension);

/** Whose signatures count, and how many are needed. */
export interface Trust {
  readonly trustedKeys: readonly TrustedKey[];
  readonly threshold: number;
  readonly roles: Readonly<Record<string, number>>;
}

const keyringSchema = z
  .strictObject({
    schema: z.literal(1),
    version: z.int().check(z.gte(1), z.lte(1_000_000)),
    /** The hosts it is for. Threat: one signed for part of a fleet is brought to the rest. */
    hosts: z.array(hostName).check(z.minLength(1), z.maxLength(10_000)),
    trustedKeys: z.array(trustedKey).check(z.minLength(1), z.maxLength(64)),
    threshold: z.int().check(z.gte(1), z.lte(64)),
    roles: rolesSchema,
    /**
     * Nothing below this sequence is taken any more, whoever signed it. Threat: a key that was misused but is still
     * needed, such as one in an HSM; what was signed with it before stays signed.
     */
    minimumSequence: z.optional(z.int().check(z.gte(1))),
  })
  .check(
    z.refine((k) => k.threshold <= k.trustedKeys.length && unmetRoles(k).length === 0, {
      message: 'requires more keys than there are, so nothing could ever be accepted again',
    }),
  );

export type Keyring = z.output<typeof keyringSchema>;
export type KeyringInput = z.input<typeof keyringSchema>;

/** The bytes that are signed. @throws NixmakerError `keyring-malformed` */
export function encodeKeyring(input: KeyringInput): string {
  const { schema, version, hosts, trustedKeys, threshold, roles, minimumSequence } = input;
  const fields = { schema, version, hosts, trustedKeys, threshold, roles, minimumSequence };
  const text = `${JSON.stringify(fields)}\n`;
  parseKeyring(text);
  return text;
}

/** @throws NixmakerError `keyring-malformed`; text that JSON.stringify would not write is refused too */
export function parseKeyring(text: string): Keyring {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (cause) {
    throw new NixmakerError('keyring-malformed', 'it is not JSON', { cause });
  }
  const parsed = keyringSchema.safeParse(json);
  if (!parsed.success) throw new NixmakerError('keyring-malformed', describeIssues(parsed.error));
  // Also catches duplicate keys and rounded numbers. The shape was checked before: lists nested as deep as a file is long
  // can be parsed, but not written.
  if (`${JSON.stringify(json)}\n` !== text)
    throw new NixmakerError('keyring-malformed', 'it is not in canonical form');
  return parsed.data;
}

/** The keyring, if the policy has not caught up with it. */
export function inForce(policy: Policy, keyring: Keyring | undefined): Keyring | undefined {
  return keyring !== undefined && keyring.version > policy.keyringVersion ? keyring : undefined;
}

/** The policy with a keyring that arrived after it was written. An older one changes nothing; none lowers the least sequence. */
export function withKeyring(policy: Policy, newest: Keyring | undefined): Policy {
  const keyring = inForce(policy, newest);
  if (keyring === undefined) return policy;
  const { trustedKeys, threshold, roles } = keyring;
  const minimumSequence = Math.max(policy.minimumSequence, keyring.minimumSequence ?? 0);
  return { ...policy, trustedKeys, threshold, roles, minimumSequence };
}

export interface Insufficient {
  readonly code: 'key-not-valid' | 'role-missing';
  readonly detail: string;
}

/**
 * Whether enough have signed: with keys valid at that time, and for each role.
 * @param signedBy names of keys whose signatures fit
 * @param now RFC 3339
 */
export function findInsufficient(
  { trustedKeys, threshold, roles }: Trust,
  { signedBy, now }: { readonly signedBy: readonly string[]; readonly now: string },
): Insufficient | undefined {
  const time = Date.parse(now);
  const signers = trustedKeys.filter((k) => signedBy.includes(keyNameOf(k)));
  const isValid = ({ notBefore, notAfter }: TrustedKey) =>
    (notBefore === undefined || time >= Date.parse(notBefore)) &&
    (notAfter === undefined || time < Date.parse(notAfter));
  const valid = signers.filter(isValid);
  if (valid.length < threshold) {
    const others = signers.filter((k) => !isValid(k)).map(keyNameOf);
    const not = others.length === 0 ? '' : `; not valid now: ${others.join(', ')}`;
    const detail = `${valid.length} of ${threshold} required keys are valid at ${now}${not}`;
    return { code: 'key-not-valid', detail };
  }
  for (const [role, count] of Object.entries(roles)) {
    const having = valid.filter((k) => k.roles.includes(role)).length;
    if (having < count) {
      const detail = `${having} of ${count} required keys with the role “${role}” have signed`;
      return { code: 'role-missing', detail };
    }
  }
  return undefined;
}
