/**
 * Which files of the inbox come next: those that have just changed, and a thousand at a time from a round over all others. Threat: as many
 * files as the disk holds. So each name is read once per round.
 */
import { type Candidate, candidateAt, inboxWindows, mostOfWindow } from '../../media/inbox.ts';
import type { Machine } from '../machine/machine.ts';
import { Lookalikes } from '../update/lookalikes.ts';
import { accessTo } from '../update/medium-access.ts';
import type { Unreadable } from '../update/unreadable.ts';

/** Files that have just been reported as changed, and are looked at before all others. */
const mostHints = 256;

export class InboxRounds {
  readonly #machine: Machine;
  readonly #unreadable: Unreadable;
  /** @param all every file there, if one window held them all */
  readonly #onEnd: (all: ReadonlySet<string> | undefined) => void;
  readonly #lookalikes = new Lookalikes();
  readonly #hints = new Set<string>();
  /** For the current round: what has yet to be listed, and what was listed and has yet to be looked at. */
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

  /** The file has just changed. */
  hint(path: string): void {
    this.#hints.add(path);
    const [oldest] = this.#hints;
    if (this.#hints.size > mostHints && oldest !== undefined) this.#hints.delete(oldest);
  }

  /** The number of the current round, or of the last one. */
  get count(): number {
    return this.#count;
  }

  /** There was more than one look covers: the next continues from there. */
  get hasMore(): boolean {
    return this.#windows !== undefined || this.#left.length > 0;
  }

  /** They were listed, but there was no time for them. */
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
    // Only the last one may be short of a thousand.
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
