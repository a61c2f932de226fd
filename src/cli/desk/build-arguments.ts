/** Errors in a build’s arguments are reported before any work: hosts may take hours. */
import { NixmakerError } from '../../core/errors.ts';

interface Checked {
  readonly expires?: string;
  readonly machineId?: string;
  readonly notes?: string;
  readonly oneWay?: string;
  readonly sequence: number;
  readonly downgradeFrom?: number;
}

export interface CheckedArguments {
  readonly expiresAt: string | undefined;
  /** What is allowed but may not be intended. */
  readonly warnings: readonly string[];
}

/** @throws NixmakerError `usage`, with the option’s name */
export async function checkBuildArguments(flags: Checked, now: Date): Promise<CheckedArguments> {
  const { describeIssues, machineId, timestamp } = await import('../../core/schema.ts');
  const { notesText, noWayBackText } = await import('../../core/release/manifest.ts');
  const check = (option: string, schema: typeof timestamp | typeof notesText, text: string | undefined) => {
    if (text === undefined) return;
    const parsed = schema.safeParse(text);
    if (!parsed.success)
      throw new NixmakerError('usage', `${option} “${text}”: ${describeIssues(parsed.error)}`);
  };
  const expiresAt = timeOf(flags.expires);
  check('--expires', timestamp, expiresAt);
  check('--machine-id', machineId, flags.machineId);
  check('--notes', notesText, flags.notes);
  check('--one-way', noWayBackText, flags.oneWay);
  if (flags.downgradeFrom !== undefined && flags.downgradeFrom <= flags.sequence + 1)
    throw new NixmakerError(
      'usage',
      `--downgrade-from ${flags.downgradeFrom} is not above the sequence, which is at least ${flags.sequence + 1}`,
    );
  const isPast = expiresAt !== undefined && Date.parse(expiresAt) <= now.getTime();
  return {
    expiresAt,
    warnings: isPast
      ? [`warning: --expires ${expiresAt} is in the past: every machine will refuse the bundle`]
      : [],
  };
}

/** A date alone means its beginning, in UTC. */
const timeOf = (text: string | undefined) =>
  text !== undefined && /^\d{4}-\d{2}-\d{2}$/.test(text) ? `${text}T00:00:00Z` : text;
