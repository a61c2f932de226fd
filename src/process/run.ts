/** Starts programs: the only user of execa. argv only, never a shell. */
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { execa, type Options } from 'execa';
import { hasErrno } from '../core/errno.ts';
import { messageOf, NixmakerError } from '../core/errors.ts';
import { given } from '../core/given.ts';
import { limits } from '../core/limits.ts';
import type { CommandOptions, CommandResult, HeardProcess, HeldProcess } from '../core/ports.ts';
import { systemClock } from './clock.ts';

const defaultMaxOutput = 64 * 1024 * 1024;

const childOptions = (options: CommandOptions) =>
  ({
    reject: false,
    ...(options.input === undefined ? { stdin: 'ignore' } : { input: options.input }),
    stderr: 'pipe',
    buffer: { stdout: true, stderr: false },
    maxBuffer: { stdout: options.maxOutput ?? defaultMaxOutput },
    stripFinalNewline: false,
    // Both give text; execa’s types only know that of UTF-8.
    encoding: (options.encoding ?? 'utf8') as 'utf8',
    forceKillAfterDelay: 5000,
    ...given({
      env: options.env === undefined ? undefined : { ...options.env },
      cwd: options.cwd,
      cancelSignal: options.signal,
      killSignal: options.endSignal,
      detached: options.isApart,
    }),
  }) as const satisfies Options;

const apart = new Set<number>();
let isListening = false;

/** What execa does only for processes of our own session. */
function endWithUs(child: PromiseLike<unknown> & { readonly pid?: number | undefined }): void {
  const { pid } = child;
  if (pid === undefined) return;
  if (!isListening) process.once('exit', endApart);
  isListening = true;
  apart.add(pid);
  void child.then(() => apart.delete(pid));
}

function endApart(): void {
  for (const pid of apart) {
    try {
      process.kill(-pid, 'SIGTERM');
    } catch (error) {
      if (!hasErrno(error, 'ESRCH')) throw error;
    }
  }
}

/**
 * Ends the child as its caller’s signal would. Not execa’s own timeout. Threat: we are frozen (clock.ts) while the child ends well, and
 * then hear of the timeout before we hear of its end; a switch would be undone for that.
 */
function startDeadline({ timeout, signal }: Pick<CommandOptions, 'timeout' | 'signal'>) {
  const [over, cancelled] = [new AbortController(), new AbortController()];
  if (timeout !== undefined)
    systemClock.sleep(timeout, cancelled.signal).then(
      () => over.abort(),
      () => undefined,
    );
  const signals = signal === undefined ? [over.signal] : [over.signal, signal];
  return {
    ...given({ signal: timeout === undefined ? signal : AbortSignal.any(signals) }),
    isOver: () => over.signal.aborted,
    cancel: () => cancelled.abort(),
  };
}

/** Of standard error. execa gives no lines where standard output is bytes. */
const linesOf = (
  child: { readonly stderr: Readable; readonly iterable: (o: { from: 'stderr' }) => AsyncIterable<string> },
  { encoding = 'utf8' }: CommandOptions,
): AsyncIterable<string> =>
  encoding === 'utf8' ? child.iterable({ from: 'stderr' }) : createInterface({ input: child.stderr });

/** Implements `ProcessRunner`. The child gets our environment plus `options.env`. */
export async function runProgram(
  program: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<CommandResult> {
  const deadline = startDeadline(options);
  const child = execa(program, [...args], childOptions({ ...options, ...deadline }));
  if (options.isApart === true) endWithUs(child);
  const tail: string[] = [];
  const reading = (async () => {
    for await (const line of linesOf(child, options)) {
      options.onStderrLine?.(line);
      tail.push(line.slice(0, limits.outputLineCharacters));
      if (tail.length > limits.outputLines) tail.shift();
    }
  })().catch((error: unknown) => void tail.push(messageOf(error)));
  const result = await child.finally(deadline.cancel);
  await reading;
  if (result.isMaxBuffer) throw new NixmakerError('internal', `${program} wrote more output than expected`);
  const started = result.exitCode !== undefined || result.signal !== undefined || result.isCanceled;
  return {
    exitCode: result.exitCode,
    stdout: result.stdout,
    stderrTail: tail,
    timedOut: result.isCanceled && deadline.isOver(),
    startError: started ? undefined : (result.shortMessage ?? 'it did not start'),
  };
}

/** Implements `ProcessHolder`. */
export async function holdProgram(
  program: string,
  args: readonly string[],
  { isApart = false }: Pick<CommandOptions, 'isApart'> = {},
): Promise<HeldProcess | undefined> {
  const options = { reject: false, stdin: 'pipe', buffer: false, stderr: 'ignore' } as const;
  const child = execa(program, [...args], { ...options, detached: isApart });
  if (isApart) endWithUs(child);
  const lines = child.iterable({ from: 'stdout' })[Symbol.asyncIterator]();
  const first = await lines.next();
  if (first.done === true) {
    const result = await child;
    // flock(1) exits with 1 for "held by another"; a missing program must not look like that.
    if (result.exitCode === 1) return undefined;
    throw new NixmakerError(
      'io-error',
      `cannot run ${program}: ${messageOf(result.shortMessage ?? 'it exited')}`,
    );
  }
  return {
    release: async () => {
      child.stdin.end();
      await child;
    },
  };
}

/**
 * Starts a program that reads and writes until its input is closed; it ends with this process.
 * @param patience milliseconds that it may take to end then
 */
export function talkToProgram(program: string, args: readonly string[], patience = 5000) {
  const options = { reject: false, stdin: 'pipe', stdout: 'pipe', stderr: 'ignore', buffer: false } as const;
  const child = execa(program, [...args], options);
  return {
    input: child.stdin,
    output: child.stdout,
    end: async () => {
      child.stdin.end();
      const ended = new AbortController();
      const late = systemClock.sleep(patience, ended.signal).then(
        () => child.kill(),
        () => undefined,
      );
      await child;
      ended.abort();
      await late;
    },
  };
}

/** Implements `ProcessListener`. */
export function listenToProgram(
  program: string,
  args: readonly string[],
  onLine: (line: string) => void,
): HeardProcess {
  const child = execa(program, [...args], {
    reject: false,
    stdin: 'ignore',
    buffer: false,
    stderr: 'ignore',
  });
  const hearing = (async () => {
    for await (const line of child.iterable({ from: 'stdout' })) onLine(line);
  })().catch(() => undefined);
  const ended = Promise.all([hearing, child]).then(() => undefined);
  return {
    ended,
    stop: () => {
      child.kill('SIGTERM');
      return ended;
    },
  };
}
