/**
 * Lines of canonical JSON, read without keeping an object per line: index and contents have up to 200,000 of them, and the agent
 * has neither a just-in-time compiler nor memory to spare. Each pass over many bytes is a single runtime call.
 */
import { NixmakerError, type ReasonCode } from '../errors.ts';
import { limits } from '../limits.ts';

/** Read at a time: as many whole lines as fit. */
const portionBytes = 256 * 1024;
const newline = 0x0a;
const openingBracket = 0x5b;
const openingBrace = 0x7b;

export interface LineSource {
  readonly bytes: Uint8Array;
  /** For a reader’s complaint. */
  readonly code: ReasonCode;
  /** The file’s name, for people. */
  readonly name: string;
  /** More lines are refused unread. */
  readonly most: number;
  /** Where the first line begins. */
  readonly from?: number;
}

/**
 * Called for every line with its value, its number from 0, and where it begins. A line that is not exactly what JSON.stringify
 * makes of its value is refused: one value, one spelling.
 * @throws NixmakerError with the source’s code
 */
export function readLines(
  source: LineSource,
  each: (value: unknown, line: number, start: number) => void,
): void {
  const { bytes, most } = source;
  const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  let line = 0;
  for (let start = source.from ?? 0; start < bytes.length; ) {
    const end = portionEnd(bytes, start);
    if (end === undefined) malformed(source, 'it does not end with a newline');
    if (end - start > portionBytes) checkLongLine(source, { start, end, line });
    const texts = decoded(source, decoder, bytes.subarray(start, end - 1)).split('\n');
    if (line + texts.length > most) malformed(source, `it has more than ${most} lines`);
    const values = valuesOf(source, texts, line);
    for (let i = 0; i < texts.length; i++) {
      const text = texts[i] as string;
      each(values[i], line, start);
      // Canonical lines are ASCII, except for what their reader refuses; if they are not, nothing after this is reached.
      start += text.length + 1;
      line += 1;
    }
    if (start !== end) malformed(source, `line ${line}: it contains non-ASCII characters`);
  }
}

/** The end of the last whole line that begins in the portion; of the first line if that is longer. */
function portionEnd(bytes: Uint8Array, start: number): number | undefined {
  const last = bytes.lastIndexOf(newline, Math.min(start + portionBytes, bytes.length) - 1);
  const at = last >= start ? last : bytes.indexOf(newline, start);
  return at < 0 ? undefined : at + 1;
}

/**
 * If one line is longer than a portion. Threat: `contents` is not signed, and nested brackets take a hundred times their own
 * memory to parse. None of our lines has more than two arrays, or any object.
 */
function checkLongLine(
  source: LineSource,
  { start, end, line }: { readonly start: number; readonly end: number; readonly line: number },
): void {
  const bytes = source.bytes.subarray(start, end);
  if (bytes.length > limits.lineBytes)
    malformed(source, `line ${line + 1} exceeds ${limits.lineBytes} bytes`);
  const second = bytes.indexOf(openingBracket, bytes.indexOf(openingBracket) + 1);
  if (bytes.includes(openingBrace) || (second > 0 && bytes.includes(openingBracket, second + 1)))
    malformed(source, `line ${line + 1} is not in canonical form`);
}

function decoded(source: LineSource, decoder: InstanceType<typeof TextDecoder>, bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (cause) {
    throw new NixmakerError(source.code, `${source.name}: it is not UTF-8 text`, { cause });
  }
}

/** All in one go; if that fails, or a line is not one value in its one spelling, the first such line is named. */
function valuesOf(source: LineSource, texts: readonly string[], first: number): unknown[] {
  try {
    const values: unknown = JSON.parse(`[${texts.join(',')}]`);
    if (Array.isArray(values) && values.length === texts.length && areCanonical(values, texts)) return values;
  } catch {
    // Reported below, by line.
  }
  const bad = texts.findIndex((text) => !isCanonical(text));
  return malformed(source, `line ${first + bad + 1} is not in canonical form`);
}

function areCanonical(values: readonly unknown[], texts: readonly string[]): boolean {
  for (let i = 0; i < texts.length; i++) if (JSON.stringify(values[i]) !== texts[i]) return false;
  return true;
}

function isCanonical(text: string): boolean {
  try {
    return JSON.stringify(JSON.parse(text)) === text;
  } catch {
    return false;
  }
}

export function malformed({ code, name }: Pick<LineSource, 'code' | 'name'>, detail: string): never {
  throw new NixmakerError(code, `${name}: ${detail}`);
}
