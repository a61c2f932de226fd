/** Results on standard output, messages on standard error, exit codes from the catalogue. */
import { catalogue } from '../../core/catalogue.ts';
import type { Side } from '../../core/catalogue-desk.ts';
import { exitCodes, messageOf, printable, visible } from '../../core/errors.ts';
import { faultOf } from '../../core/fault.ts';
import { eachLine, joined, type Lines, lines } from '../../core/lines.ts';
import type { EventSink } from '../../core/ports.ts';
import { folded, sgrOf, splitMarks, styled } from '../../core/style.ts';
import { explain } from '../../report/tables.ts';
import { inAscii, isUtf8 } from './locale.ts';

/** The only way to a terminal, a pipe or the journal: whatever comes here, no character acts on the reader’s terminal. */
const write = (stream: NodeJS.WriteStream, text: string): void => void stream.write(visible(text));

const inLocale = (text: string): string => (isUtf8(process.env) ? text : inAscii(text));

/** A terminal with colours, unless NO_COLOR says no (no-color.org). */
const isColoured = (stream: NodeJS.WriteStream): boolean => stream.isTTY === true && stream.hasColors();

/** For people: coloured if that can be seen, in what the locale can show, with no word broken at the terminal’s edge. */
function say(stream: NodeJS.WriteStream, text: Lines): void {
  const shown = splitMarks(text)
    .map((part, i) => (i % 2 === 0 ? inLocale(visible(part)) : part))
    .join('');
  const fitted = stream.isTTY && stream.columns > 0 ? folded(shown, stream.columns) : shown;
  const parts = splitMarks(fitted).map((part, i) => (i % 2 === 0 ? part : sgrOf(part, isColoured(stream))));
  stream.write(parts.join(''));
}

export const print = (text: Lines): void => say(process.stdout, text);

export const printToStderr = (text: Lines): void => say(process.stderr, text);

/** The terminal’s width; undefined if standard output isn’t one, and lines may be of any length. */
export const columns = (): number | undefined => (process.stdout.isTTY ? process.stdout.columns : undefined);

/** Replaces what was there: goes to the top, and clears what is below. If nobody is looking at a screen, appends. */
export function printAnew(text: Lines): void {
  process.stdout.write(process.stdout.isTTY ? '\u001b[H\u001b[J' : '\n');
  print(text);
}

/** Standard error, for progress: a line now and then or, on a terminal, one that is redrawn. */
export const progressTerminal = (isQuiet: boolean) => ({
  isTTY: process.stderr.isTTY === true && !isQuiet,
  isUtf8: isUtf8(process.env),
  columns: () => process.stderr.columns ?? 80,
  write: printToStderr,
  redraw: (line: Lines) => {
    process.stderr.write('\r\u001b[2K');
    printToStderr(line);
  },
});

/** The path of a file on a line of its own: another command gets it, so it stays what it is in any locale. */
export const printPath = (path: string): void => write(process.stdout, `${printable(path)}\n`);

/** What has a syntax of its own, for programs. */
export const printDocument = (text: string): void => write(process.stdout, text);

/** What commander says about the arguments it was given. */
export const forCommander = {
  writeOut: (text: string) => write(process.stdout, inLocale(text)),
  writeErr: (text: string) => write(process.stderr, inLocale(text)),
  // Arguments may be file names that a shell found on a medium.
  outputError: (text: string, out: (text: string) => void) => out(`${printable(text.trimEnd())}\n`),
};

/** A service’s log: JSON lines on standard error, with priorities if the journal is listening. */
export async function serviceLog(verbose = false): Promise<EventSink> {
  const { makeLog } = await import('../../report/logger.ts');
  const journald = process.env.JOURNAL_STREAM !== undefined;
  return makeLog({
    level: verbose ? 'debug' : 'info',
    journald,
    write: (line) => write(process.stderr, line),
  });
}

export const printJson = (value: unknown): void => printDocument(`${JSON.stringify(value, null, 2)}\n`);

/** One object per line. */
export const printJsonLine = (value: unknown): void => printDocument(`${JSON.stringify(value)}\n`);

let side: Side = 'machine';

/** Whose verb is running: what a person is told to do depends on it. */
export function runsAt(where: Side): void {
  side = where;
}

/** Runs a verb's work; anything it throws becomes a message and an exit code. */
export async function runVerb(work: () => Promise<number>, { json }: { json?: boolean } = {}): Promise<void> {
  try {
    process.exitCode = await work();
  } catch (error) {
    const { code, detail } = faultOf(error);
    process.exitCode = code === 'internal' ? exitCodes.fault : catalogue[code].exit;
    if (json === true) printJson({ schema: 1, ok: false, code, detail });
    printToStderr(joined([styled('bad', lines`nixmaker:`), lines` `, explain(code, detail, side)]));
    if (code === 'internal' && error instanceof Error) printToStderr(framesOf(error));
  }
}

/** Where it was thrown, without the message, whose lines may look like frames. */
function framesOf({ message, stack = '' }: Error): Lines {
  const at = stack.indexOf(message);
  return eachLine(stack.slice(at === -1 ? 0 : at + message.length).trim());
}

/** An uncaught fault: Node.js would print it unescaped. */
export function printFault(error: unknown): void {
  printToStderr(lines`nixmaker: ${messageOf(error)}\n`);
  if (error instanceof Error) printToStderr(framesOf(error));
}

/** commander's accumulator for options given several times. */
export const severalTimes = (value: string, all: string[]): string[] => [...all, value];

/** Aborted by SIGINT and SIGTERM, or when the reader has gone. */
export function untilStopped(): AbortSignal {
  const stopped = new AbortController();
  // `on`, not `once`: execa's own exit handler ends the process if it finds no other listener left.
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => stopped.abort());
  process.stdout.on('close', () => stopped.abort());
  return stopped.signal;
}
