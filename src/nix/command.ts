/** Starting Nix: one place for flags, error reading and progress. */
import { stripVTControlCharacters } from 'node:util';
import { messageOf, NixmakerError, type ReasonCode } from '../core/errors.ts';
import { given } from '../core/given.ts';
import type { CommandResult, ProcessRunner } from '../core/ports.ts';
import type { StorePath } from '../core/store-path.ts';
import { type NixProgress, ProgressTally, parseLogLine } from './log.ts';

/** How this run reaches Nix. */
export interface NixContext {
  readonly run: ProcessRunner;
  /** A Nix store URI; left out at the desk, where Nix’s own configuration decides. */
  readonly store?: string;
  /** Where the daemon of that store listens, if it is one that a daemon serves. */
  readonly daemonSocket?: string | undefined;
  readonly signal?: AbortSignal;
  /** Added to the environment of every Nix process. */
  readonly env?: Readonly<Record<string, string>>;
}

export interface NixOptions {
  readonly onProgress?: (progress: NixProgress) => void;
  /** Milliseconds. */
  readonly timeout?: number;
  /**
   * `lines`: what Nix says to people, and no JSON. Of a copy that is a line for each path, where JSON has a hundred, which
   * costs a tenth of the time.
   */
  readonly log?: 'json' | 'lines';
  /** The code for an error that is none of the known kinds. */
  readonly failure?: ReasonCode;
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

/** Runs one of the older programs (`nix-store`, `nix-env`), which know things the new command line does not. */
export async function legacyNix(
  context: NixContext,
  { program, args }: { program: 'nix-store' | 'nix-env' | 'nix-instantiate'; args: readonly string[] },
  options: NixOptions = {},
): Promise<string> {
  const store = context.store === undefined ? [] : ['--store', context.store];
  return start(context, { program, args: [...store, ...args] }, options);
}

/** Asks `nix-store` about any number of paths, in portions, for a command line has an end. @returns its lines */
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
  const messages: string[] = [];
  const result = await context.run(program, args, {
    ...given({ signal: context.signal, env: context.env, timeout: options.timeout }),
    onStderrLine: (line) => {
      const entry = parseLogLine(line);
      if (entry === undefined) messages.push(line);
      else if (entry.action === 'msg') {
        // Levels: 0 error, 1 warning (Nix src/libutil/include/nix/util/error.hh, Verbosity).
        if (entry.level <= 1) messages.push(entry.text);
      } else tally.add(entry);
      if (messages.length > 100) messages.shift();
    },
  });
  if (result.exitCode === 0) return result.stdout;
  throw failureOf(result, messages, options.failure ?? 'nix-failed');
}

const knownErrors: readonly (readonly [RegExp, ReasonCode])[] = [
  [/lacks a signature by a trusted key/, 'nix-key-untrusted'],
  [/No space left on device|database or disk is full|disk quota exceeded/i, 'no-space'],
  [
    /cannot connect to socket|cannot open connection to remote store|Nix daemon disconnected|daemon-socket|broken pipe|unexpected end-of-file/i,
    'nix-unavailable',
  ],
];

function failureOf(result: CommandResult, messages: readonly string[], otherwise: ReasonCode): NixmakerError {
  if (result.startError !== undefined) {
    return new NixmakerError('nix-unavailable', `nix can’t be started: ${messageOf(result.startError)}`);
  }
  if (result.timedOut) return new NixmakerError(otherwise, 'Nix did not finish in time');
  return failureFor(messages, otherwise, `nix ended with ${result.exitCode}`);
}

/** The fault that Nix's own words tell of. @param unsaid where it said nothing */
export function failureFor(
  messages: readonly string[],
  otherwise: ReasonCode,
  unsaid = 'Nix said nothing',
): NixmakerError {
  const text = messages.map((m) => stripVTControlCharacters(m).trim()).filter((m) => m !== '');
  const code = knownErrors.find(([pattern]) => text.some((line) => pattern.test(line)))?.[1] ?? otherwise;
  const error = text.findLast((line) => line.startsWith('error:')) ?? text.at(-1) ?? unsaid;
  return new NixmakerError(code, messageOf(error.replace(/^error:\s*/, '')), { cause: text.join('\n') });
}

/** Names and values of settings, one after the other, as `--option` flags. */
export function toOptions(pairs: readonly string[]): string[] {
  return pairs.flatMap((value, i) => (i % 2 === 0 ? ['--option', value] : [value]));
}
