/** What Prometheus gets, compiled from the status; written where the settings say. */
import { dirname } from 'node:path';
import { messageOf } from '../../core/errors.ts';
import { healthOf } from '../../core/run/journal.ts';
import { makeFolder } from '../../files/folder.ts';
import { writeWhole } from '../../files/write.ts';
import { readHistory, readStatus, readTotals } from '../inspect/status.ts';
import type { Machine } from '../machine/machine.ts';

export async function metricsOf(machine: Pick<Machine, 'policy' | 'settings' | 'version'>): Promise<string> {
  const [status, { runs, unreadable }] = [
    await readStatus(machine.settings),
    await readHistory(machine.settings),
  ];
  const checks = healthOf(status.last);
  // Its library takes a fifth of the agent’s start-up, and on most machines nobody asks for it.
  const { renderMetrics } = await import('../../report/metrics.ts');
  return renderMetrics({
    version: machine.version,
    host: machine.policy.host,
    sequence: status.floor?.sequence,
    floorLost: status.floorLost !== undefined,
    pending: status.pending,
    restartNeeded: status.restartChanges.length > 0,
    waiting: status.waiting.length,
    unreadable,
    healthy: checks === undefined ? undefined : checks.every((c) => c.ok),
    runs,
    totals: await readTotals(machine.settings),
  });
}

/** Written if the settings name a file. Nothing in a run depends on it. */
export async function writeMetrics(
  machine: Pick<Machine, 'emit' | 'policy' | 'settings' | 'version'>,
): Promise<void> {
  const { metricsFile } = machine.settings;
  if (metricsFile === undefined) return;
  try {
    await makeFolder(dirname(metricsFile));
    await writeWhole(metricsFile, await metricsOf(machine));
  } catch (error) {
    machine.emit({ event: 'metrics-unwritten', level: 'warn', detail: messageOf(error) });
  }
}
