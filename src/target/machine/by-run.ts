/** A run by its id, for what is done on its behalf: it names the units that are started, and every event. */
import type { Machine } from './machine.ts';

export interface ByRun {
  readonly id: string;
  readonly emit: (
    event: string,
    fields?: Record<string, unknown>,
    level?: 'debug' | 'info' | 'warn' | 'error',
  ) => void;
}

export const byRun = (machine: Pick<Machine, 'emit'>, id: string): ByRun => ({
  id,
  emit: (event, fields = {}, level = 'info') => machine.emit({ ...fields, event, level, transaction: id }),
});
