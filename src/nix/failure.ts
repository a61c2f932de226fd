/**
 * Parses Nix’s error messages by where they were printed, never by words that a flake’s author or a builder may have written: a `throw
 * "broken pipe"` is not a broken pipe.
 */
import { stripVTControlCharacters } from 'node:util';
import { messageOf, NixmakerError, type ReasonCode } from '../core/errors.ts';

/** A message of level 0 (error) or 1 (warning) (Nix src/libutil/include/nix/util/error.hh, Verbosity). */
export interface NixMessage {
  readonly level: number;
  /** As people read it: with its trace, if it has one. */
  readonly text: string;
  /** Without the trace. For lines that are not JSON: the line itself. */
  readonly raw: string;
}

/** Output of a builder, whether it has ended or is still running. */
export interface BuilderLog {
  readonly derivation: string;
  readonly lines: readonly string[];
}

/** A fault, with the part of Nix’s long output that people need to see. */
export class NixFailure extends NixmakerError {
  /** The last block of an error, or the end of a builder’s log; empty if `detail` says it all. */
  readonly excerpt: readonly string[];

  constructor(
    code: ReasonCode,
    detail: string,
    { excerpt, cause }: { excerpt: readonly string[]; cause: string },
  ) {
    super(code, detail, { cause });
    this.excerpt = excerpt;
  }
}

const mostLines = 40;
const mostCharacters = 600;

/** Nix’s own errors, at the start of the message or after a colon: `what was done: what went wrong`. */
const knownErrors: readonly (readonly [RegExp, ReasonCode])[] = [
  [/^cannot add path .* lacks a signature by a trusted key/, 'nix-key-untrusted'],
  [/(?:^|: )(?:No space left on device|Disk quota exceeded)$/i, 'no-space'],
  [/^executing SQLite .*database or disk is full/, 'no-space'],
  [
    /(?:^|: )(?:cannot connect to socket|cannot open connection to remote store|Nix daemon disconnected|unexpected end-of-file|Broken pipe$)/i,
    'nix-unavailable',
  ],
];

/** `throw` and `abort`, recognised by the trace line that Nix puts above what was thrown. */
const thrown = /^\s*\u2026 while calling the '(?:throw|abort)' builtin$/m;
const builderFailed = /^(?:Cannot build '|builder for ')(\/[^']+)'/;
const onlyDependencies = /dependenc(?:y|ies) .*failed/;

/** The known kind, if the fault is that of Nix or the machine, and not somebody’s own text. */
function codeOf({ text, raw }: NixMessage): ReasonCode | undefined {
  if (thrown.test(text) || builderFailed.test(raw)) return undefined;
  const [first = ''] = raw.split('\n');
  return knownErrors.find(([pattern]) => pattern.test(first))?.[1];
}

/**
 * The fault that Nix’s own words describe.
 * @param said oldest first
 * @param unsaid used if it said nothing
 */
export function failureFor(
  said: readonly NixMessage[],
  otherwise: ReasonCode,
  { unsaid = 'Nix gave no reason', logs = [] }: { unsaid?: string; logs?: readonly BuilderLog[] } = {},
): NixFailure {
  const messages = said.map(plain).filter(({ text }) => text !== '');
  const errors = messages.filter(({ level, text }) => level === 0 && text.startsWith('error:'));
  const cause = messages.map(({ text }) => text).join('\n');
  const known = errors.find((message) => codeOf(message) !== undefined);
  const code = known === undefined ? otherwise : (codeOf(known) ?? otherwise);
  // If there are several, the one that the others follow from: a builder’s, not a failed dependency.
  const first = errors.find(({ raw }) => builderFailed.test(raw) && !onlyDependencies.test(raw));
  const told = known ?? first ?? errors.at(-1) ?? messages.at(-1);
  if (told === undefined) return new NixFailure(code, unsaid, { excerpt: [], cause });
  const [, derivation] = builderFailed.exec(told.raw) ?? [];
  if (derivation !== undefined) return ofBuilder(told, { code, cause, derivation, logs });
  const lines = told.raw.split('\n');
  const excerpt = lines.length > 1 ? lines.slice(0, mostLines) : [];
  return new NixFailure(code, shortened(lines.join('\n')), { excerpt, cause });
}

function ofBuilder(
  { raw }: NixMessage,
  told: { code: ReasonCode; cause: string; derivation: string; logs: readonly BuilderLog[] },
): NixFailure {
  const { code, cause, derivation, logs } = told;
  const log = logs.find((each) => each.derivation === derivation)?.lines.slice(-mostLines) ?? [];
  // What follows lists its missing outputs.
  const sentence = raw.split(/\n\s*Output paths:/)[0] ?? raw;
  const more = log.length === 0 ? [] : [...log.map((line) => `> ${line}`), `Full log: nix log ${derivation}`];
  return new NixFailure(code, shortened(sentence), { excerpt: more, cause });
}

const shortened = (text: string): string => {
  const line = messageOf(text.replace(/\s*\n\s*/g, ' ').trim());
  return line.length > mostCharacters ? `${line.slice(0, mostCharacters)} …` : line;
};

const plain = ({ level, text, raw }: NixMessage): NixMessage => ({
  level,
  text: stripVTControlCharacters(text).trim(),
  raw: stripVTControlCharacters(raw)
    .trim()
    .replace(/^error:\s*/, ''),
});

/** Lines that Nix prints for people are errors if they say so. */
export const fromLine = (line: string): NixMessage => {
  const text = stripVTControlCharacters(line).trim();
  return { level: text.startsWith('error:') ? 0 : 1, text, raw: text.replace(/^error:\s*/, '') };
};
