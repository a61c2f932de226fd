/** What goes through files between root and whoever sits at the screen. Pure. */
import { absolutePath } from '../schema.ts';
import * as z from '../zod.ts';

/** A run’s id. */
export const runId = z.string().check(z.regex(/^[0-9a-f]{12}$/));

const mediumNumber = z.int().check(z.positive(), z.lte(999));

/** Root’s last word on a medium: what became of what was on it, and that it may be removed. For whoever shows or signals it. */
export const mediumWord = z.strictObject({
  schema: z.literal(1),
  at: z.iso.datetime(),
  /** Boot id; what was said before a restart is news no longer. */
  bootId: z.string().check(z.maxLength(64)),
  place: absolutePath,
  /** Somebody else mounted it: it must be unmounted before it is removed. */
  eject: z.boolean(),
  /** Why no receipt was due. */
  without: z.optional(z.enum(['nothing', 'unreadable', 'silent', 'misnamed'])),
  /** The release comes on several media: which of them to bring next. By the agent’s word. */
  bring: z.optional(z.strictObject({ part: mediumNumber, of: mediumNumber })),
  /** The last bundle’s run. */
  run: z.optional(
    z.strictObject({
      transaction: runId,
      state: z.string().check(z.maxLength(32)),
      code: z.optional(z.string().check(z.maxLength(64))),
      sequence: z.optional(z.int().check(z.nonnegative())),
    }),
  ),
});

export type MediumWord = z.infer<typeof mediumWord>;

/** `nixmaker ask` waits for an answer to it. */
export const approvalQuestion = z.strictObject({
  schema: z.literal(1),
  /** Unguessable, and new each time: an answer to an earlier question is no answer to this one. */
  id: runId,
  bootId: z.string().check(z.maxLength(64)),
  sequence: z.optional(z.int().check(z.nonnegative())),
  operation: z.optional(z.string().check(z.maxLength(32))),
  /** Seconds since the machine was started: nobody can set that back. */
  until: z.number(),
});

export type ApprovalQuestion = z.infer<typeof approvalQuestion>;

export const approvalAnswer = z.strictObject({
  schema: z.literal(1),
  id: runId,
  approved: z.boolean(),
});

export type ApprovalAnswer = z.infer<typeof approvalAnswer>;
