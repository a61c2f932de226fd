/**
 * Things the system gives no answer about: a folder on a dead mount, a damaged one, one that only others may enter. Such a thing blocks
 * none of its neighbours, and is reported once for as long as it stays that way.
 */

import { NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { faultOf } from '../../core/fault.ts';
import { given } from '../../core/given.ts';
import type { Clock, EventSink } from '../../core/ports.ts';
import type { Wait } from '../../core/run/waits.ts';

/** Threat: as many folders as there is room for. Those beyond this number are not reported. */
const mostKnown = 1000;

interface Found {
  readonly code: ReasonCode;
  readonly detail: string;
  readonly since: string;
  /** The last round in which it was met. */
  round: number;
}

export class Unreadable {
  readonly #machine: { readonly clock: Pick<Clock, 'now'>; readonly emit: EventSink };
  readonly #place: { readonly place?: string };
  readonly #found = new Map<string, Found>();
  #round = 0;

  /** @param place of a medium or a carrier’s */
  constructor(machine: { readonly clock: Pick<Clock, 'now'>; readonly emit: EventSink }, place?: string) {
    this.#machine = machine;
    this.#place = given({ place });
  }

  /** Everything is examined again: what was not met last time can be read again, or is gone. */
  begin(): void {
    for (const [path, { round }] of this.#found) if (round < this.#round) this.#found.delete(path);
    this.#round += 1;
  }

  /** @returns whether it is news */
  note(path: string, error: unknown): boolean {
    const known = this.#found.get(path);
    if (known !== undefined) known.round = this.#round;
    if (known !== undefined || this.#found.size >= mostKnown) return false;
    const { code, detail: said } = error instanceof NixmakerError ? error : unreadableFault(error);
    const detail = said.replace(` '${path}'`, '');
    this.#found.set(path, {
      ...{ code, detail, round: this.#round },
      since: this.#machine.clock.now().toISOString(),
    });
    const event = code === 'medium-unreadable' ? code : 'unreadable';
    this.#machine.emit({ event, level: 'warn', ...this.#place, source: path, code, detail });
    return true;
  }

  get isEmpty(): boolean {
    return this.#found.size === 0;
  }

  waits(): Wait[] {
    return [...this.#found].map(([path, { code, detail, since }]) => ({ path, code, detail, since }));
  }
}

/** The path through which we opened it means nothing to anybody: `/proc/self/fd/23`. */
export function unreadableFault(error: unknown): { readonly code: ReasonCode; readonly detail: string } {
  const { code, detail } = faultOf(error);
  const isOfSystem = error instanceof Error && 'syscall' in error;
  return { code: code === 'internal' && isOfSystem ? 'io-error' : code, detail: withoutPath(detail, error) };
}

function withoutPath(detail: string, error: unknown): string {
  const { path } = error as { readonly path?: unknown };
  if (typeof path !== 'string') return detail;
  return detail.replace(`${path}: `, '').replace(` '${path}'`, '');
}
