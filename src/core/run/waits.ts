/** What is waiting on a machine, or can’t be read, and why: shown by `status`, `doctor` and the receipt that travels home. Pure. */
import { printable } from '../errors.ts';
import * as z from '../zod.ts';

/** How many of a machine’s waits are named; the others are counted. */
export const mostWaits = 100;

const wait = z.strictObject({
  /** A bundle, a folder, or a medium’s mount point. Untrusted: always printed through `printable`. */
  path: z.string().check(z.maxLength(4096)),
  code: z.string().check(z.maxLength(64)),
  detail: z.optional(z.string().check(z.maxLength(4096))),
  /** ISO 8601. */
  since: z.string().check(z.maxLength(64)),
  /** Times it was tried. */
  tries: z.optional(z.int().check(z.gte(1))),
  /** When it will be looked at again at the latest, ISO 8601; if unset, when it changes. */
  again: z.optional(z.string().check(z.maxLength(64))),
});

export type Wait = z.infer<typeof wait>;

export const waitsParser = z.strictObject({
  schema: z.literal(1),
  waits: z.array(wait).check(z.maxLength(mostWaits)),
  /** Those beyond. */
  more: z.int().check(z.gte(0)),
});

export type Waits = z.infer<typeof waitsParser>;
export const noWaits: Waits = { schema: 1, waits: [], more: 0 };

/** Within the record’s bounds: one long message must not cost all of it. */
export const toWaits = (all: readonly Wait[]): Waits => ({
  schema: 1,
  waits: all.slice(0, mostWaits).map(({ path, detail, ...known }) => ({
    path: path.slice(0, 4096),
    ...known,
    ...(detail === undefined ? {} : { detail: detail.slice(0, 4096) }),
  })),
  more: Math.max(0, all.length - mostWaits),
});

const forPersons: ReadonlySet<string> = new Set([
  ...['io-error', 'no-access', 'medium-unreadable', 'medium-stalled', 'misnamed'],
]);

/** Whether only a person can fix it. */
export const needsPerson = (code: string): boolean => forPersons.has(code);

/** How times are written: to the minute, and to the second. */
export interface TimeTexts {
  readonly minute: (time: string) => string;
  readonly second: (time: string) => string;
}

const inUtc: TimeTexts = {
  minute: (time) => `${time.slice(0, 16).replace('T', ' ')} UTC`,
  second: (time) => `${time.slice(0, 19).replace('T', ' ')} UTC`,
};

/** In one line, for people. */
export function waitText(
  { path, code, detail, since, tries, again }: Wait,
  { minute, second }: TimeTexts = inUtc,
): string {
  const tried = tries === undefined || tries < 2 ? '' : `, tried ${tries} times`;
  const next = again === undefined ? '' : `, next try at ${second(again)}`;
  return printable(
    `${path}: ${code}${detail === undefined ? '' : ` (${detail})`}, since ${minute(since)}${tried}${next}`,
  );
}
