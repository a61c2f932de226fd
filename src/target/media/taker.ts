/** Taking what lies on media and in carriers’ folders, where nothing is moved, and ending each visit. */
import { catalogue, isPassing } from '../../core/catalogue.ts';
import { type ExitCode, NixmakerError } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { type ReceiptRun, toReceiptRun } from '../../core/run/host-receipt.ts';
import { exitOf, type Receipt } from '../../core/run/receipt.ts';
import type { Machine } from '../machine/machine.ts';
import type { Root } from '../machine/root.ts';
import { type InHand, setAside } from '../update/in-hand.ts';
import { sourceOf } from '../update/open.ts';
import { takeBundle } from '../update/take.ts';
import { type FinishedVisit, type Found, MediaQueue } from './queue.ts';

interface Takes {
  readonly root: Root;
  readonly inHand: InHand;
  readonly onReceipt?: (receipt: Receipt) => void;
}

export class MediaTaker {
  readonly #machine: Machine;
  readonly #root: Root;
  readonly #inHand: InHand;
  readonly #queue: MediaQueue;
  readonly #onReceipt: ((receipt: Receipt) => void) | undefined;
  /** Runs of the visits that go on, by the place. */
  readonly #runs = new Map<string, ReceiptRun[]>();

  constructor(machine: Machine, { root, inHand, onReceipt }: Takes) {
    this.#machine = machine;
    this.#root = root;
    this.#inHand = inHand;
    this.#queue = new MediaQueue(machine, inHand);
    this.#onReceipt = onReceipt;
  }

  /** Takes the best bundle there is; where there is none, ends the visits that are over. @returns undefined then */
  async takeNext(): Promise<ExitCode | undefined> {
    const next = await this.#queue.next();
    if (next !== undefined) return this.#take(next);
    for (const visit of this.#queue.finished()) {
      const runs = this.#runs.get(visit.place.id) ?? [];
      this.#runs.delete(visit.place.id);
      await this.#end(visit, runs);
    }
    return undefined;
  }

  /** After how many milliseconds something that waits is due. */
  due(): number | undefined {
    return this.#queue.due();
  }

  /** As the queue has it. */
  isSilent(id: string): boolean {
    return this.#queue.isSilent(id);
  }

  /** @param runs what became of the bundles that were taken there */
  async #end({ place, findings, without }: FinishedVisit, runs: readonly ReceiptRun[]): Promise<void> {
    this.#machine.emit(
      given({ event: 'medium-done', place: place.root, findings: findings.length, without }),
    );
    await this.#root.endVisit({
      schema: 1,
      transaction: this.#machine.randomHex(6),
      place: place.root,
      findings: findings.slice(0, 1000),
      runs: runs.slice(-100),
      ...given({ without }),
    });
  }

  async #take(next: Found): Promise<ExitCode> {
    const { candidate, place } = next;
    try {
      const receipt = await this.#receiptOf(next);
      this.#onReceipt?.(receipt);
      const exit = exitOf(receipt);
      const { transaction, state, code } = receipt;
      if (isPassing(exit)) this.#queue.defer(next, code);
      else {
        this.#queue.markDone(next, state, code);
        this.#runs.set(place.id, [...(this.#runs.get(place.id) ?? []), toReceiptRun(receipt)]);
      }
      this.#machine.emit({ event: 'bundle-done', source: candidate.path, transaction, state });
      return exit;
    } catch (error) {
      const code = error instanceof NixmakerError ? error.code : undefined;
      this.#queue.defer(next, code);
      if (!(error instanceof NixmakerError)) throw error;
      this.#machine.emit({ event: 'waiting', code, detail: error.detail, source: candidate.path });
      return catalogue[error.code].exit;
    }
  }

  #receiptOf({ candidate, why }: Found): Promise<Receipt> {
    const machine = this.#machine;
    if (why !== undefined) return setAside(machine, candidate, why);
    const request = { name: candidate.path, source: sourceOf(candidate) };
    return this.#inHand.taking(candidate, () => takeBundle(machine, this.#root, request));
  }
}
