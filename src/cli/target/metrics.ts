import type { Command } from 'commander';
import { exitCodes } from '../../core/errors.ts';
import { printDocument, runVerb } from '../terminal/output.ts';

interface MetricsOptions {
  readonly settings?: string;
}

export function defineMetrics(program: Command): void {
  program
    .command('metrics')
    .summary('print this machine’s Prometheus metrics')
    .description(
      'print this machine’s Prometheus metrics; `metricsFile` in the settings keeps them in a file',
    )
    .option('--settings <file>', 'settings file')
    .action((options: MetricsOptions) => runVerb(() => metrics(options)));
}

async function metrics({ settings }: MetricsOptions): Promise<number> {
  const { openMachineHere } = await import('./open.ts');
  const { metricsOf } = await import('../../target/service/metrics.ts');
  printDocument(await metricsOf(await openMachineHere({ settingsFile: settings }, () => undefined)));
  return exitCodes.done;
}
