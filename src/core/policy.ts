/** The policy file: what this machine lets a bundle do (docs/policy.md). Written by an operator, read as root's word. */
import { z } from 'zod';
import { hostName, operation } from './schema.ts';

/** How far a machine may go to get what a `derivation` bundle does not carry. */
export const realiseModes = ['never-build', 'substitute', 'build'] as const;
export type RealiseMode = (typeof realiseModes)[number];

const policySchema = z
  .strictObject({
    schema: z.literal(1),
    host: hostName,
    /** What the agent does with an accepted bundle. */
    operation: z.enum(['switch', 'boot']),
    /** What the command line may be asked to do; the agent's own operation is always among them. */
    operations: z.array(operation).nonempty().optional(),
    /** Nix public keys, `name:base64`. Checked by signing/ when the policy is read. */
    trustedKeys: z.array(z.string().max(512)).nonempty().max(64),
    /** How many different trusted keys must have signed. */
    threshold: z.number().int().min(1).max(64).default(1),
    realise: z.enum(realiseModes).default('never-build'),
  })
  .refine((p) => p.threshold <= p.trustedKeys.length, {
    path: ['threshold'],
    message: 'is greater than the number of trusted keys, so no bundle could ever be accepted',
  });

export type Policy = z.infer<typeof policySchema>;
export const policyParser = policySchema;
/** The keys a policy may have, for "did you mean". */
export const policyKeys: readonly string[] = Object.keys(policySchema.shape);
