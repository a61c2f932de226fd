/**
 * Which files of the inbox come next: what has just changed, and of a round over all others a thousand at a time. Threat: as many as the
 * disk holds, so each name is read once in a round.
 */
import { type Candidate, candidateAt, inboxWindows, mostOfWindow } from '../../media/inbox.ts';
import type { Machine } from '../machine/machine.ts';
import { Lookalikes } from '../update/lookalikes.ts';
import { accessTo } from '../update/medium-access.ts';
import type { Unreadable } from '../update/unreadable.ts';

/** Files that were just said to have changed, and are looked at before all others. */
const mostHints = 256;

export class InboxRounds {
  readonly #machine: Machine;
  readonly #unreadable: Unreadable;
  /** @param all that are there, where one window has held them */
  readonly #onEnd: (all: ReadonlySet<string> | undefined) => void;
  readonly #lookalikes = new Lookalikes();
  readonly #hints = new Set<string>();
  /** Of the round that goes on: what is still to be listed, and what was listed and is still to be looked at. */
  #windows: AsyncGenerator<readonly Candidate[], void, void> | undefined;
  #left: readonly Candidate[] = [];
  #count = 0;

  constructor(
    machine: Machine,
    { unreadable, onEnd }: { unreadable: Unreadable; onEnd: (all: ReadonlySet<string> | undefined) => void },
  ) {
    this.#machine = machine;
    this.#unreadable = unreadable;
    this.#onEnd = onEnd;
  }

  /** The file has changed just now. */
  hint(path: string): void {
    this.#hints.add(path);
    const [oldest] = this.#hints;
    if (this.#hints.size > mostHints && oldest !== undefined) this.#hints.delete(oldest);
  }

  /** The number of the round that goes on, or was the last. */
  get count(): number {
    return this.#count;
  }

  /** There was more than one look goes over: the next goes on from there. */
  get hasMore(): boolean {
    return this.#windows !== undefined || this.#left.length > 0;
  }

  /** They were listed, and there was no time for them. */
  leave(candidates: readonly Candidate[]): void {
    this.#left = candidates;
  }

  async next(): Promise<readonly Candidate[]> {
    const { policy, settings } = this.#machine;
    if (!policy.sources.inbox) return [];
    const hinted = [...this.#hints].flatMap((path) => candidateAt(settings.inbox, path) ?? []);
    this.#hints.clear();
    const others = this.#left.length > 0 ? this.#left : await this.#nextWindow();
    this.#left = [];
    return [...new Map([...hinted, ...others].map((candidate) => [candidate.path, candidate])).values()];
  }

  async #nextWindow(): Promise<readonly Candidate[]> {
    const isFirst = this.#windows === undefined;
    if (isFirst) this.#begin();
    this.#windows ??= inboxWindows(this.#machine.settings.inbox, {
      onFault: (folder, error) => this.#unreadable.note(folder, error),
      onOther: this.#lookalikes.note,
      within: (path, read) => accessTo(this.#machine, { path }).withDeadline(read),
    });
    const { value = [], done } = await this.#windows.next().catch((error: unknown) => {
      this.#windows = undefined;
      throw error;
    });
    // The last is the only one that may be short of a thousand.
    const isLast = done === true || value.length < mostOfWindow;
    if (!isLast) return value;
    this.#windows = undefined;
    const looking = {
      to: (path: string) => accessTo(this.#machine, { path }),
      onStalled: (path: string, error: unknown) => void this.#unreadable.note(path, error),
    };
    const window = [...value, ...(await this.#lookalikes.found(looking))];
    this.#onEnd(isFirst ? new Set(window.map((c) => c.path)) : undefined);
    return window;
  }

  #begin(): void {
    this.#count += 1;
    this.#unreadable.begin();
  }
}
