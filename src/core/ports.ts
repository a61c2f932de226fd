/** What the edges need from the world, as parameters: tests and the composition choose. */

export interface Clock {
  /** Wall clock, for people and for signed times. */
  now(): Date;
  /** Milliseconds that never jump, and stop while the process is stopped (paused, frozen), for durations and for "has it been at rest". */
  monotonic(): number;
  /** Milliseconds of CLOCK_MONOTONIC, which systemd uses in what it says about its units. */
  kernel(): number;
  /** Seconds since the machine was started. */
  uptime(): number;
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
}

export interface CommandOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Ends the child with `endSignal`, then SIGKILL. */
  readonly signal?: AbortSignal;
  /** SIGTERM if unset. */
  readonly endSignal?: NodeJS.Signals;
  /** In a session of its own, out of reach of our terminal’s signals. It ends with this process all the same. */
  readonly isApart?: boolean;
  /** Its standard input; if unset, it has none. */
  readonly input?: string | Uint8Array;
  /** How standard output becomes text: as UTF-8, or one character for each byte. */
  readonly encoding?: 'utf8' | 'latin1';
  /** After this many milliseconds the child is ended and `timedOut` is true. */
  readonly timeout?: number;
  /** Each line of standard error as it comes, without its newline. */
  readonly onStderrLine?: (line: string) => void;
  /** Bytes of standard output kept; more is an error. */
  readonly maxOutput?: number;
}

export interface CommandResult {
  /** Undefined if a signal ended the child or it did not start. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  /** The last lines only (`limits.outputLines`). */
  readonly stderrTail: readonly string[];
  readonly timedOut: boolean;
  /** Set if the program could not be started. */
  readonly startError: string | undefined;
}

/** Runs a program to its end. Never throws for what the program does; argv only, never a shell. */
export type ProcessRunner = (
  program: string,
  args: readonly string[],
  options?: CommandOptions,
) => Promise<CommandResult>;

/** A program kept running until released; it ends with this process, however this process ends. */
export interface HeldProcess {
  release(): Promise<void>;
}

/**
 * Starts a program that prints one line when it is ready and then waits for its standard input to end.
 * Undefined if it ended with 1 before it was ready. @throws NixmakerError `io-error` if it can't be started
 */
export type ProcessHolder = (program: string, args: readonly string[]) => Promise<HeldProcess | undefined>;

/** A program whose lines are read until it is stopped or ends by itself; it ends with this process. */
export interface HeardProcess {
  /** Resolves when it has ended, for whatever reason. */
  readonly ended: Promise<void>;
  stop(): Promise<void>;
}

export type ProcessListener = (
  program: string,
  args: readonly string[],
  onLine: (line: string) => void,
) => HeardProcess;

/** One event of a run, for logs and for progress on a terminal. */
export interface RunEvent {
  readonly event: string;
  readonly level?: 'debug' | 'info' | 'warn' | 'error';
  readonly [field: string]: unknown;
}

export type EventSink = (event: RunEvent) => void;
