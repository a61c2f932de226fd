/** Starts Nix: one place for flags, error parsing and progress. */
import { messageOf, NixmakerError, type ReasonCode } from '../core/errors.ts';
import { given } from '../core/given.ts';
import type { CommandResult, ProcessRunner } from '../core/ports.ts';
import type { StorePath } from '../core/store-path.ts';
import { failureFor, fromLine, type NixMessage } from './failure.ts';
import type { KeptDaemon } from './kept-daemon.ts';
import { BuilderLogs, type NixProgress, ProgressTally, parseLogLine } from './log.ts';
import type { Reached } from './open-daemon.ts';

/** Nix’s settings, asked for when the first is needed (settings.ts). */
export interface SettingsOnce {
  all?: Promise<ReadonlyMap<string, string>>;
}

/** How this run reaches Nix. */
export interface NixContext extends Reached {
  readonly run: ProcessRunner;
  /** A Nix store URI; omitted at the desk, where Nix’s own configuration decides. */
  readonly store?: string;
  /** At the desk, for one command: answers what programs would otherwise be started for. */
  readonly daemon?: KeptDaemon;
  /** For one bundle, or one look at a machine: its settings are asked for once. If omitted, each is asked for anew. */
  readonly settings?: SettingsOnce;
  readonly signal?: AbortSignal;
  /** Added to the environment of every Nix process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Receives Nix’s warnings, even when all goes well. */
  readonly warn?: (text: string) => void;
}

export interface NixOptions {
  readonly onProgress?: (progress: NixProgress) => void;
  /** Milliseconds. */
  readonly timeout?: number;
  /**
   * `lines`: Nix’s output for people, and no JSON. A copy prints one line per path, where JSON has a hundred, which costs a tenth of the
   * time.
   */
  readonly log?: 'json' | 'lines';
  /** The code for an error of no known kind. */
  readonly failure?: ReasonCode;
  /** Store paths for a verb told `--stdin`: any number of them, while a command line has limited length (execve(2)). */
  readonly stdin?: readonly StorePath[];
}

export type NixProgressOption = Pick<NixOptions, 'onProgress'>;

const features = ['--extra-experimental-features', 'nix-command flakes'];

/**
 * Runs `nix …` and returns its standard output.
 * @throws NixmakerError `nix-unavailable`, `no-space`, `nix-key-untrusted`, or `options.failure`
 */
export async function nix(
  context: NixContext,
  args: readonly string[],
  options: NixOptions = {},
): Promise<string> {
  const store = context.store === undefined ? [] : ['--store', context.store];
  const log = options.log === 'lines' ? ['raw'] : ['internal-json', '-v'];
  return start(
    context,
    { program: 'nix', args: [...features, ...args, ...store, '--log-format', ...log] },
    options,
  );
}

/** Runs one of the older programs (`nix-store`, `nix-env`), which can do things the new command line can’t. */
export async function legacyNix(
  context: NixContext,
  { program, args }: { program: 'nix-store' | 'nix-env' | 'nix-instantiate'; args: readonly string[] },
  options: NixOptions = {},
): Promise<string> {
  const store = context.store === undefined ? [] : ['--store', context.store];
  return start(context, { program, args: [...store, ...args] }, options);
}

/** Asks `nix-store` about any number of paths, in batches, because a command line has limited length. @returns its lines */
export async function queryStore(
  context: NixContext,
  question: readonly string[],
  paths: readonly StorePath[],
): Promise<string[]> {
  const lines: string[] = [];
  const portion = 1000;
  for (let start = 0; start < paths.length; start += portion) {
    const args = [...question, ...paths.slice(start, start + portion)];
    const out = await legacyNix(context, { program: 'nix-store', args });
    lines.push(...out.split('\n').filter((line) => line !== ''));
  }
  return lines;
}

async function start(
  context: NixContext,
  { program, args }: { program: string; args: readonly string[] },
  options: NixOptions,
): Promise<string> {
  const tally = new ProgressTally(options.onProgress);
  const messages: NixMessage[] = [];
  const logs = new BuilderLogs();
  const result = await context.run(program, args, {
    ...given({ signal: context.signal, env: context.env, timeout: options.timeout }),
    ...given({ input: options.stdin?.map((path) => `${path}\n`).join('') }),
    onStderrLine: (line) => {
      const entry = parseLogLine(line);
      if (entry === undefined) addLine(messages, line, context);
      else if (entry.action === 'msg') {
        if (entry.level <= 1) messages.push(entry);
        if (entry.level === 1) context.warn?.(entry.text);
      } else {
        tally.add(entry);
        logs.add(entry);
      }
      if (messages.length > 100) messages.shift();
    },
  });
  if (result.exitCode === 0) return result.stdout;
  throw failureOf(result, { messages, logs }, options.failure ?? 'nix-failed');
}

/** Indented lines below an error belong to it. */
function addLine(messages: NixMessage[], line: string, context: NixContext): void {
  const last = messages.at(-1);
  if (/^\s+\S/.test(line) && last?.level === 0 && last.raw.length < 10_000) {
    const more = `\n${line.trim()}`;
    messages[messages.length - 1] = { ...last, text: last.text + more, raw: last.raw + more };
    return;
  }
  const message = fromLine(line);
  messages.push(message);
  if (message.text.startsWith('warning:')) context.warn?.(message.text);
}

interface Said {
  readonly messages: readonly NixMessage[];
  readonly logs: BuilderLogs;
}

function failureOf(result: CommandResult, { messages, logs }: Said, otherwise: ReasonCode): NixmakerError {
  if (result.startError !== undefined) {
    return new NixmakerError('nix-unavailable', `cannot start nix: ${messageOf(result.startError)}`);
  }
  if (result.timedOut) return new NixmakerError(otherwise, 'Nix did not finish in time');
  return failureFor(messages, otherwise, { unsaid: `nix exited with ${result.exitCode}`, logs: logs.all });
}

/** Names and values of settings, one after the other, as `--option` flags. */
export function toOptions(pairs: readonly string[]): string[] {
  return pairs.flatMap((value, i) => (i % 2 === 0 ? ['--option', value] : [value]));
}
