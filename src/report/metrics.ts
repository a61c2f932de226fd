/** What a machine reports to Prometheus, in the text format that node_exporter's textfile collector reads. */
import { Counter, Gauge, Registry } from 'prom-client';

export interface MetricsInput {
  readonly version: string;
  readonly host: string;
  readonly sequence: number | undefined;
  readonly floorLost: boolean;
  readonly pending: boolean;
  readonly restartNeeded: boolean;
  readonly waiting: number;
  readonly unreadable: number;
  /** Undefined if the last run had no health checks. */
  readonly healthy: boolean | undefined;
  /** Each run as it ended or stands. */
  readonly runs: readonly {
    readonly state: string;
    readonly code?: string | undefined;
    readonly at: string;
  }[];
  /** For all runs, including those no longer in the journal. */
  readonly totals: {
    readonly states: Readonly<Record<string, number>>;
    readonly codes: Readonly<Record<string, number>>;
  };
}

const ends = ['committed', 'refused', 'failed', 'rolled-back', 'superseded'] as const;

export function renderMetrics(input: MetricsInput): Promise<string> {
  const registry = new Registry();
  const gauge = gaugesOf(registry);
  new Gauge({
    name: 'nixmaker_info',
    help: 'Always 1; labels identify this machine.',
    labelNames: ['version', 'host'],
    registers: [registry],
  }).set({ version: input.version, host: input.host }, 1);
  gauge('nixmaker_sequence', 'Sequence of the newest bundle taken; 0 before the first.', input.sequence ?? 0);
  gauge(
    'nixmaker_floor_lost',
    '1 while nothing is taken because the floor is lost.',
    Number(input.floorLost),
  );
  gauge('nixmaker_pending', '1 while the installed system is not the running one.', Number(input.pending));
  gauge(
    'nixmaker_restart_needed',
    '1 while the installed system needs a restart to take full effect.',
    Number(input.restartNeeded),
  );
  gauge('nixmaker_inbox_waiting', 'Files in the inbox not dealt with yet.', input.waiting);
  gauge('nixmaker_journal_unreadable_lines', 'Journal lines that cannot be read.', input.unreadable);
  gauge(
    'nixmaker_healthy',
    '1 if the last health checks passed, 0 if one failed.',
    input.healthy === undefined ? undefined : Number(input.healthy),
  );
  countRuns(registry, input.totals);
  tellLastRuns(gauge, input.runs);
  return registry.metrics();
}

type Run = MetricsInput['runs'][number];

/** Sets a gauge that has a value. */
const gaugesOf = (registry: Registry) => (name: string, help: string, value: number | undefined) => {
  if (value !== undefined) new Gauge({ name, help, registers: [registry] }).set(value);
};

function countRuns(registry: Registry, { states, codes }: MetricsInput['totals']): void {
  const total = new Counter({
    name: 'nixmaker_runs_total',
    help: 'Runs by final state.',
    labelNames: ['state'],
    registers: [registry],
  });
  const problems = new Counter({
    name: 'nixmaker_problems_total',
    help: 'Runs that ended with a code (nixmaker explain CODE).',
    labelNames: ['code'],
    registers: [registry],
  });
  for (const state of ends) total.inc({ state }, 0);
  for (const [state, count] of Object.entries(states)) total.inc({ state }, count);
  for (const [code, count] of Object.entries(codes)) problems.inc({ code }, count);
}

function tellLastRuns(gauge: ReturnType<typeof gaugesOf>, runs: readonly Run[]): void {
  const timeOf = (at: string | undefined) => (at === undefined ? undefined : Date.parse(at) / 1000);
  const last = runs.at(-1);
  gauge('nixmaker_last_run_timestamp_seconds', 'When the last run ended.', timeOf(last?.at));
  gauge(
    'nixmaker_last_success_timestamp_seconds',
    'When a bundle was last committed.',
    timeOf(runs.findLast((r) => r.state === 'committed')?.at),
  );
  gauge(
    'nixmaker_last_run_failed',
    '1 if the last run was refused, failed or was rolled back.',
    last === undefined ? undefined : Number(['refused', 'failed', 'rolled-back'].includes(last.state)),
  );
}
