/** Results on standard output, printToStderr on standard error, exit codes from the catalogue. */
import { catalogue } from '../../core/catalogue.ts';
import { exitCodes, messageOf, NixmakerError } from '../../core/errors.ts';
import type { EventSink } from '../../core/ports.ts';
import { explain } from '../../report/tables.ts';

export function print(text: string): void {
  process.stdout.write(text);
}

export function printToStderr(text: string): void {
  process.stderr.write(text);
}

/** The log of a service: JSON lines on standard error, with priorities where the journal listens. */
export async function serviceLog(verbose = false): Promise<EventSink> {
  const { makeLog } = await import('../../report/logger.ts');
  const journald = process.env.JOURNAL_STREAM !== undefined;
  return makeLog({ level: verbose ? 'debug' : 'info', journald, write: printToStderr });
}

export function printJson(value: unknown): void {
  print(`${JSON.stringify(value, null, 2)}\n`);
}

/** Runs a verb's work; whatever it throws becomes a message and an exit code. */
export async function runVerb(work: () => Promise<number>, { json }: { json?: boolean } = {}): Promise<void> {
  try {
    process.exitCode = await work();
  } catch (error) {
    const code = error instanceof NixmakerError ? error.code : 'internal';
    const detail = error instanceof NixmakerError ? error.detail : messageOf(error);
    process.exitCode = code === 'internal' ? exitCodes.fault : catalogue[code].exit;
    if (json === true) printJson({ schema: 1, ok: false, code, detail });
    printToStderr(`nixmaker: ${explain(code, detail)}`);
    if (code === 'internal' && error instanceof Error) printToStderr(`${error.stack ?? ''}\n`);
  }
}

/** commander's accumulator for options given several times. */
export const severalTimes = (value: string, all: string[]): string[] => [...all, value];

/** Aborted by SIGINT and SIGTERM, or when whoever reads has gone. */
export function untilStopped(): AbortSignal {
  const stopped = new AbortController();
  // `on`, not `once`: execa's own exit handler ends the process where it finds no other listener left.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopped.abort());
  process.stdout.on('close', () => stopped.abort());
  return stopped.signal;
}
