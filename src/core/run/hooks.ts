/** What the operator’s programs around an activation are told, and what their answers mean (docs/policy.md). Pure. */
import { exitText } from '../complaint.ts';
import { exitCodes, printable } from '../errors.ts';
import { given } from '../given.ts';
import { type HookName, hookNames } from '../policy/hooks.ts';
import * as z from '../zod.ts';

/** Lines kept of what a program said, and characters of each: the result is in every journal line of its run that follows. */
const mostLines = 10;
const mostCharacters = 200;

export const hookResultParser = z.strictObject({
  hook: z.enum(hookNames),
  ok: z.boolean(),
  /** Why not, or what it asks for. */
  detail: z.optional(z.string().check(z.maxLength(4096))),
  /** The last lines of its output; all of it is in the system’s journal. */
  said: z.optional(z.array(z.string().check(z.maxLength(mostCharacters))).check(z.maxLength(mostLines))),
});

export type HookResult = z.infer<typeof hookResultParser>;

/** How a hook’s program ended. */
export interface HookEnd {
  /** Undefined if a signal ended it or it did not start. */
  readonly exitCode: number | undefined;
  readonly timedOut: boolean;
  /** The last lines of its output. */
  readonly said: readonly string[];
  /** Why it was not started. */
  readonly fault?: string | undefined;
}

/** Exit codes of `before`. As in sysexits.h(3): EX_TEMPFAIL; and one that is free there. */
export const notNow = exitCodes.deferred;
export const noWayBack = 79;

export type BeforeAnswer =
  | { readonly answer: 'go-on' }
  /** Once the new system has begun to run, nothing goes back by itself. */
  | { readonly answer: 'no-way-back'; readonly reason: string }
  | { readonly answer: 'not-now'; readonly detail: string }
  | { readonly answer: 'failed'; readonly detail: string };

/** What `before` has decided. */
export function answerOfBefore(end: HookEnd): BeforeAnswer {
  const last = lastLine(end);
  if (end.timedOut || end.fault !== undefined) return { answer: 'failed', detail: failureOf(end) };
  if (end.exitCode === 0) return { answer: 'go-on' };
  if (end.exitCode === notNow) return { answer: 'not-now', detail: last ?? 'it does not say why' };
  if (end.exitCode === noWayBack)
    return { answer: 'no-way-back', reason: last ?? 'hooks.before says so, and not why' };
  return { answer: 'failed', detail: failureOf(end) };
}

const lastLine = ({ said }: Pick<HookEnd, 'said'>): string | undefined => {
  const line = said.findLast((l) => l.trim() !== '');
  return line === undefined ? undefined : clipped(line.trim());
};

const clipped = (line: string): string => printable(line).slice(0, mostCharacters);

/** For people, of a program that did not end with 0. */
function failureOf(end: HookEnd): string {
  if (end.fault !== undefined) return end.fault;
  const how = end.timedOut ? 'it did not finish in time' : exitText(end.exitCode);
  const last = lastLine(end);
  return last === undefined ? how : `${how}: ${last}`;
}

/** For the receipt. */
export function hookResultOf(hook: HookName, end: HookEnd): HookResult {
  const said = end.said.slice(-mostLines).map(clipped);
  return given({ hook, ...outcomeOf(hook, end), said: said.length === 0 ? undefined : said });
}

function outcomeOf(hook: HookName, end: HookEnd): Pick<HookResult, 'ok' | 'detail'> {
  const found = hook === 'before' ? answerOfBefore(end) : undefined;
  if (found?.answer === 'no-way-back') return { ok: true, detail: `no way back: ${found.reason}` };
  if (found?.answer === 'not-now') return { ok: false, detail: `not now: ${found.detail}` };
  const isOk = end.exitCode === 0 && !end.timedOut && end.fault === undefined;
  return isOk ? { ok: true } : { ok: false, detail: failureOf(end) };
}

/** In one line, for people. */
export const hookText = ({ hook, ok, detail }: HookResult): string =>
  `hooks.${hook} ${ok ? 'ran' : 'failed'}${detail === undefined ? '' : `: ${detail}`}`;

/** What is said of a run: a receipt’s fields. */
export interface Told {
  readonly hooks?: readonly HookResult[] | undefined;
  readonly notices?: readonly string[] | undefined;
}

/** A committed run once `after` has followed it. */
export function withAfter<T extends Told>(run: T, result: HookResult): T & Told {
  const hooks = [...(run.hooks ?? []), result];
  if (result.ok) return { ...run, hooks };
  const notice = `${hookText(result)}. The system is installed all the same.`;
  return { ...run, hooks, notices: [...(run.notices ?? []), notice] };
}

/** What is known of a run; the fields are a receipt’s. */
export interface HookFacts {
  readonly transaction: string;
  readonly source: string;
  /** The system that runs at this moment. */
  readonly running: string | undefined;
  readonly known: Readonly<Record<string, unknown>>;
}

/**
 * A hook’s environment, besides PATH. All values are there, empty if unknown, so that a script under `set -u` does not fail, and each is one
 * line, which is all that systemd-run(1) takes. Documented in docs/policy.md.
 */
export function hookEnvironment(
  hook: HookName,
  { transaction, source, running, known }: HookFacts,
): Record<string, string> {
  const of = (field: string) => {
    const value = known[field];
    return typeof value === 'string' || typeof value === 'number' ? printable(String(value)) : '';
  };
  const goesBack = hook === 'rollBack';
  return {
    NIXMAKER_HOOK: hook,
    NIXMAKER_TRANSACTION: transaction,
    NIXMAKER_SOURCE: printable(source),
    NIXMAKER_HOST: of('host'),
    NIXMAKER_SEQUENCE: of('sequence'),
    NIXMAKER_RELEASE: of('manifestDigest'),
    NIXMAKER_OPERATION: of('operation'),
    NIXMAKER_TOPLEVEL: of('toplevel'),
    NIXMAKER_PREVIOUS: of('previousToplevel'),
    NIXMAKER_RUNNING: running ?? '',
    NIXMAKER_GENERATION: of('targetGeneration'),
    NIXMAKER_NO_WAY_BACK: of('noWayBack'),
    NIXMAKER_CODE: goesBack ? of('code') : '',
    NIXMAKER_DETAIL: goesBack ? of('detail') : '',
  };
}
