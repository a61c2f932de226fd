/** Shared by several outputs. Fields may be added within a version; removing one or changing its meaning raises it. */
import * as z from 'zod';
import { exitCodes } from '../../../src/core/errors.ts';
import { freedParser } from '../../../src/core/run/freed.ts';
import { hookResultParser } from '../../../src/core/run/hooks.ts';
import { states } from '../../../src/core/run/lifecycle.ts';

export const count = z.number().int().min(0);
export const time = z.string().describe('ISO 8601, UTC');
export const path = z.string();
export const sequence = z.number().int().min(1).describe('release number of a host');
export const state = z.enum(states).describe('where a run stands or how it ended');
export const code = z.string().describe('a code of docs/codes.md');
export const ok = z.boolean().describe('whether the exit code is 0');

export const schema = <Version extends number>(version: Version) =>
  z.literal(version).describe('version of this output');

export const exit = z.literal(Object.values(exitCodes));

export const heldRelease = z.object({
  sequence,
  floor: count.describe('the floor above which it is no longer held'),
  since: time,
  because: z.string(),
});

export const floor = z.object({
  schema: z.literal(1),
  sequence: count,
  manifestDigest: z.string(),
  createdAt: time.describe('newest signed time seen'),
});

export const health = z.object({ check: z.string(), ok: z.boolean(), detail: z.string().optional() });

const signedFile = z.object({ sha256: z.string(), size: count });

export const manifest = z.object({
  schema: z.literal(2),
  host: z.string(),
  system: z.string(),
  sequence,
  createdAt: time,
  expiresAt: time.optional(),
  machineId: z.string().optional(),
  downgradeFrom: sequence.optional(),
  noWayBack: z.string().optional(),
  content: z.enum(['closure', 'derivation']),
  derivation: path,
  toplevel: path,
  totals: z.object({
    paths: count,
    files: count,
    blocks: count.describe('of 4096 bytes'),
    narBytes: count,
    largestNar: count,
  }),
  index: signedFile,
  tarball: signedFile.optional(),
  notes: z.string().optional(),
  flake: z.object({ description: z.string().optional(), revision: z.string().optional() }).optional(),
});

/** What became of one run: also the report’s and the journal’s fields. */
export const receipt = z.object({
  schema: schema(1),
  transaction: z.string(),
  at: time,
  source: z.string().describe('the file as it was named; untrusted'),
  state,
  code: code.optional(),
  detail: z.string().optional(),
  host: z.string().optional(),
  sequence: sequence.optional(),
  downgradeFrom: sequence.optional(),
  noWayBack: z.string().optional(),
  manifestDigest: z.string().optional(),
  toplevel: path.optional(),
  operation: z.enum(['switch', 'boot', 'test', 'dry-activate']).optional(),
  signedBy: z.array(z.string()).optional(),
  generation: count.optional(),
  previousToplevel: path.optional(),
  previousGeneration: count.optional(),
  previousCurrent: path.optional(),
  targetGeneration: count.optional().describe('of a rollback by hand'),
  rolledBackFrom: sequence.optional(),
  rolledBackTo: sequence.optional(),
  bootId: z.string().optional(),
  failedUnitsBefore: z.array(z.string()).optional(),
  restartedUnitsBefore: z.array(z.string()).optional(),
  health: z.array(health).optional(),
  hooks: z.array(hookResultParser).optional().describe('the policy’s hooks that ran, in order'),
  afterDue: z.boolean().optional().describe('committed under a policy with `hooks.after`'),
  askedIn: z.string().optional(),
  confirmBy: z.number().optional().describe('uptime in seconds'),
  rebootNeeded: z.array(z.string()).optional(),
  specialisation: z.string().optional(),
  createdAt: time.optional(),
  notices: z.array(z.string()).optional(),
  imported: z.object({ paths: count, bytes: count, milliseconds: z.number() }).optional(),
  freed: z.optional(freedParser),
  changes: z.array(z.string()).optional(),
  output: z.array(z.string()).optional(),
});

/** A line of the journal: a receipt’s fields, as far as they were known by then. */
export const record = receipt.omit({ output: true });

/** What a host has told about the keys that things for it are encrypted to. */
export const toldKeys = z.object({
  host: z.string(),
  sshHostKey: z.string().optional().describe('for secrets that the system decrypts'),
  ageRecipients: z.array(z.string()).describe('for whole bundles'),
});
