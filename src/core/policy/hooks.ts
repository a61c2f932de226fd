/** The operator’s programs around an activation (docs/policy.md). Root runs them, so the policy names each in full. */
import { absolutePath } from '../schema.ts';
import * as z from '../zod.ts';

export const hookNames = ['before', 'after', 'rollBack'] as const;
export type HookName = (typeof hookNames)[number];

const hook = z.strictObject({
  /**
   * argv, never a shell. Threat: a name without a folder is looked up in root’s PATH, and whoever gets a program into one of those
   * folders is root.
   */
  command: z.tuple([absolutePath], z.string().check(z.maxLength(4096))),
  /** Seconds, after which systemd ends the program and everything it has started. */
  timeout: z._default(z.number().check(z.gte(1), z.lte(3600)), 300),
});

export type Hook = z.infer<typeof hook>;

export const hooksSchema = z.strictObject({
  /** Before anything on the machine is changed: it may say “not now”, or that there is no way back. */
  before: z.optional(hook),
  /** Once the new system is committed. */
  after: z.optional(hook),
  /** Before the previous system is restored. */
  rollBack: z.optional(hook),
});

export type HooksPolicy = z.infer<typeof hooksSchema>;
