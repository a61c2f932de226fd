/**
 * The log: pino, one line of JSON per event, on standard error. Under systemd each line begins with its priority
 * (`<3>`, sd-daemon(3)), because journald gives everything else priority 6.
 */
import pino from 'pino';
import type { EventSink } from '../core/ports.ts';

/** pino's levels to syslog(3)'s priorities. */
function priorityOf(level: number): number {
  if (level >= 60) return 2;
  if (level >= 50) return 3;
  if (level >= 40) return 4;
  if (level >= 30) return 6;
  return 7;
}

export interface LogOptions {
  readonly level: string;
  /** True if standard error is journald's ($JOURNAL_STREAM, systemd.exec(5)). */
  readonly journald: boolean;
  readonly write: (text: string) => void;
}

/** Fields from outside stay inside their own keys; an event never overwrites `level`, `time` or `event`. */
export function makeLog({ level, journald, write }: LogOptions): EventSink {
  const stream = {
    // Makes pino report the level of each line (pino docs, "destination metadata").
    [Symbol.for('pino.metadata')]: true,
    lastLevel: 30,
    write(line: string) {
      write(journald ? `<${priorityOf(this.lastLevel)}>${line}` : line);
    },
  };
  const logger = pino(
    {
      level,
      base: null,
      messageKey: 'event',
      timestamp: journald ? false : pino.stdTimeFunctions.isoTime,
    },
    stream,
  );
  return ({ event, level: eventLevel = 'info', time: _time, ...fields }) => logger[eventLevel](fields, event);
}
