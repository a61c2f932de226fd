/** What goes through files between root and whoever sits at the screen. Pure. */
import * as z from 'zod';
import { absolutePath } from '../schema.ts';

/** A run’s id. */
export const runId = z.string().regex(/^[0-9a-f]{12}$/);

const mediumNumber = z.number().int().positive().max(999);

/** Root’s last word on a medium: what became of what was on it, and that it may be removed. For whoever shows or signals it. */
export const mediumWord = z.strictObject({
  schema: z.literal(1),
  at: z.iso.datetime(),
  /** Boot id; what was said before a restart is news no longer. */
  bootId: z.string().max(64),
  place: absolutePath,
  /** Somebody else mounted it: it must be unmounted before it is removed. */
  eject: z.boolean(),
  /** Why no receipt was due. */
  without: z.enum(['nothing', 'unreadable', 'silent', 'misnamed']).optional(),
  /** The release comes on several media: which of them to bring next. By the agent’s word. */
  bring: z.strictObject({ part: mediumNumber, of: mediumNumber }).optional(),
  /** The last bundle’s run. */
  run: z
    .strictObject({
      transaction: runId,
      state: z.string().max(32),
      code: z.string().max(64).optional(),
      sequence: z.number().int().nonnegative().optional(),
    })
    .optional(),
});

export type MediumWord = z.infer<typeof mediumWord>;

/** `nixmaker ask` waits for an answer to it. */
export const approvalQuestion = z.strictObject({
  schema: z.literal(1),
  /** Unguessable, and new each time: an answer to an earlier question is no answer to this one. */
  id: runId,
  bootId: z.string().max(64),
  sequence: z.number().int().nonnegative().optional(),
  operation: z.string().max(32).optional(),
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
