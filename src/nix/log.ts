/**
 * Nix’s `--log-format internal-json` (Nix src/libutil/logging.cc): lines `@nix {…}`. A copy of 1 GB writes about 100,000 of them, so lines
 * are sorted by a cheap look before any JSON is parsed.
 */
import { stripVTControlCharacters } from 'node:util';

export interface NixProgress {
  readonly phase: 'build' | 'copy';
  readonly done: number;
  readonly expected: number;
  /** Bytes of NARs, if known. */
  readonly bytes?: number;
  readonly expectedBytes?: number;
}

export type LogEntry =
  | { readonly action: 'msg'; readonly level: number; readonly text: string; readonly raw: string }
  | { readonly action: 'start'; readonly id: number; readonly type: number }
  | { readonly action: 'result'; readonly id: number; readonly fields: readonly unknown[] }
  /** A builder has started, or has printed something. */
  | { readonly action: 'building'; readonly id: number; readonly derivation: string }
  | { readonly action: 'said'; readonly id: number; readonly line: string }
  /** Printed for people (Nix src/libstore/store-api.cc, copyPaths): how many paths, then each as its turn comes. */
  | { readonly action: 'paths'; readonly expected: number }
  | { readonly action: 'path' };

// Activity and result types (Nix src/libutil/include/nix/util/logging.hh).
const actCopyPaths = 103;
const actBuilds = 104;
const actBuild = 105;
const resBuildLogLine = 101;
const resProgress = 105;

/** Of no kind that matters here. */
const other: LogEntry = { action: 'msg', level: 99, text: '', raw: '' };

/** The entry, or undefined if the line is not an entry, or not a useful one. */
export function parseLogLine(line: string): LogEntry | undefined {
  if (line.startsWith("copying path '")) return { action: 'path' };
  const expected = /^copying (\d+) paths\.\.\.$/.exec(line)?.[1];
  if (expected !== undefined) return { action: 'paths', expected: Number(expected) };
  if (!line.startsWith('@nix {')) return undefined;
  const wanted =
    line.includes('"action":"msg"') ||
    line.includes('"type":103') ||
    line.includes('"type":104') ||
    line.includes('"type":105') ||
    line.includes('"type":101');
  if (!wanted) return other;
  let json: Record<string, unknown>;
  try {
    json = JSON.parse(line.slice(5)) as Record<string, unknown>;
  } catch {
    return undefined;
  }
  return entryOf(json);
}

function entryOf({ action, id, type, level, msg, raw_msg, fields }: Record<string, unknown>): LogEntry {
  if (action === 'msg') {
    const text = stripVTControlCharacters(String(msg));
    return { action, level: Number(level), text, raw: stripVTControlCharacters(String(raw_msg ?? msg)) };
  }
  const [first] = Array.isArray(fields) ? (fields as unknown[]) : [];
  if (action === 'start' && type === actBuild && typeof first === 'string')
    return { action: 'building', id: Number(id), derivation: first };
  if (action === 'start') return { action, id: Number(id), type: Number(type) };
  if (action === 'result' && type === resBuildLogLine && typeof first === 'string')
    return { action: 'said', id: Number(id), line: stripVTControlCharacters(first) };
  if (action === 'result' && type === resProgress && Array.isArray(fields))
    return { action, id: Number(id), fields };
  return other;
}

/** The ends of the builders’ logs: a limited number of lines for a limited number of builders, whatever they print. */
export class BuilderLogs {
  readonly #logs = new Map<number, { readonly derivation: string; readonly lines: string[] }>();
  static readonly #mostBuilders = 100;
  static readonly #mostLines = 200;

  add(entry: LogEntry): void {
    if (entry.action === 'building') {
      this.#logs.set(entry.id, { derivation: entry.derivation, lines: [] });
      const [oldest] = this.#logs.keys();
      if (this.#logs.size > BuilderLogs.#mostBuilders && oldest !== undefined) this.#logs.delete(oldest);
    } else if (entry.action === 'said') {
      const lines = this.#logs.get(entry.id)?.lines;
      lines?.push(entry.line.slice(0, 1000));
      if (lines !== undefined && lines.length > BuilderLogs.#mostLines) lines.shift();
    }
  }

  get all() {
    return [...this.#logs.values()];
  }
}

/** Follows the two activities that people care about: paths built and paths copied. */
export class ProgressTally {
  readonly #phases = new Map<number, NixProgress['phase']>();
  readonly #report: ((progress: NixProgress) => void) | undefined;
  #expected = 0;
  #begun = 0;

  constructor(report?: (progress: NixProgress) => void) {
    this.#report = report;
  }

  add(entry: LogEntry): void {
    if (entry.action === 'start') {
      if (entry.type === actCopyPaths) this.#phases.set(entry.id, 'copy');
      if (entry.type === actBuilds) this.#phases.set(entry.id, 'build');
    } else if (entry.action === 'paths') {
      this.#expected = entry.expected;
    } else if (entry.action === 'path') {
      this.#begun += 1;
      if (this.#begun <= this.#expected)
        this.#report?.({ phase: 'copy', done: this.#begun, expected: this.#expected });
    } else if (entry.action === 'result') {
      const phase = this.#phases.get(entry.id);
      const [done, expected] = entry.fields;
      if (phase !== undefined && typeof done === 'number' && typeof expected === 'number' && expected > 0) {
        this.#report?.({ phase, done, expected });
      }
    }
  }
}
