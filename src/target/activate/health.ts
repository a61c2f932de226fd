/**
 * Health checks on behalf of a run. Root’s unit is confined (no network, no capabilities, almost nothing to write to), so it does not see
 * what the machine’s services see: there the checks run in a transient unit, outside.
 */
import { checkHealth, checkStart, type HealthContext } from '../../activation/health.ts';
import { runOutside } from '../../activation/outside.ts';
import { complaintOf } from '../../core/complaint.ts';
import { messageOf, NixmakerError } from '../../core/errors.ts';
import type { HealthPolicy } from '../../core/policy/policy.ts';
import type { HealthResult } from '../../core/run/receipt.ts';
import * as z from '../../core/zod.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';

export interface HealthQuestion {
  /** Units that had failed before; undefined if the machine has no systemd to ask. */
  readonly failedBefore: readonly string[] | undefined;
  /** Units that ran and had been restarted, with how long they had run. */
  readonly restartedBefore?: readonly string[] | undefined;
  /** The machine has just started: let it come up first. */
  readonly afterStart: boolean;
}

/** Runs the checks, and keeps the results in the receipt. @throws NixmakerError `health-failed` */
export async function requireHealth(
  machine: Pick<Machine, 'clock' | 'files' | 'policy' | 'run' | 'settings'>,
  { transaction, afterStart }: { transaction: Transaction; afterStart: boolean },
): Promise<void> {
  if (machine.policy.health === undefined) return;
  const { failedUnitsBefore: failedBefore, restartedUnitsBefore: restartedBefore } = transaction.known;
  const inquiry = { failedBefore, restartedBefore, afterStart };
  const results = await (machine.settings.activation === 'direct'
    ? runHealthChecks(machine, inquiry)
    : runHealthChecksOutside(machine, { id: transaction.id, health: machine.policy.health, ...inquiry }));
  transaction.learn({ health: results });
  const bad = results.filter((r) => !r.ok);
  if (bad.length === 0) return;
  const detail = bad
    .map(({ check, detail: why }) => `${check}${why === undefined ? '' : ` (${why})`}`)
    .join('; ');
  throw new NixmakerError('health-failed', `failed: ${detail}`);
}

/** Runs the policy’s checks, in this process. */
export async function runHealthChecks(
  { policy, run, clock, settings }: Pick<Machine, 'policy' | 'run' | 'clock' | 'settings'>,
  { failedBefore, restartedBefore, afterStart }: HealthQuestion,
): Promise<HealthResult[]> {
  if (policy.health === undefined) return [];
  const context: HealthContext = { run, clock, failedBefore, restartedBefore };
  if (afterStart && settings.activation === 'systemd') {
    const started = await checkStart(context, policy.boot.startTimeout);
    if (!started.ok) return [started];
  }
  return checkHealth(context, policy.health);
}

const resultsParser = z.array(
  z.strictObject({ check: z.string(), ok: z.boolean(), detail: z.optional(z.string()) }),
);

async function runHealthChecksOutside(
  { run, files, policy }: Pick<Machine, 'run' | 'files' | 'policy'>,
  {
    id,
    health,
    failedBefore,
    restartedBefore = [],
    afterStart,
  }: HealthQuestion & { id: string; health: HealthPolicy },
): Promise<HealthResult[]> {
  const [, program = ''] = process.argv;
  const option = (name: string, value: string | undefined) => (value === undefined ? [] : [name, value]);
  const ourselves = [process.execPath, program, 'check-health'];
  const seconds = longest(health) + (afterStart ? policy.boot.startTimeout : 0) + 60;
  const result = await runOutside(run, {
    unit: `nixmaker-health-${id}-${process.pid}`,
    seconds,
    argv: [
      ...ourselves,
      ...option('--settings', files.settings),
      ...option('--policy', files.policy),
      ...(afterStart ? ['--after-start'] : []),
      ...(failedBefore === undefined ? [] : ['--failed-before', ...failedBefore]),
      ...(restartedBefore.length === 0 ? [] : ['--restarted-before', ...restartedBefore]),
    ],
  });
  try {
    const parsed = resultsParser.parse(JSON.parse(result.stdout));
    return parsed.map(({ detail, ...rest }) => (detail === undefined ? rest : { ...rest, detail }));
  } catch (error) {
    const why = complaintOf(result, messageOf(error));
    return [{ check: 'the health checks can run', ok: false, detail: why }];
  }
}

/** Seconds the checks may take by their own policy. */
function longest({ settle, retries, timeout, interval }: HealthPolicy): number {
  return settle + (retries + 1) * (timeout + 30) + retries * interval;
}
