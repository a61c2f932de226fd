/** Takes bundles from media and carriers’ folders, where nothing is moved, and ends each visit. */
import { join } from 'node:path';
import { catalogue, isPassing } from '../../core/catalogue.ts';
import { type ExitCode, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { given } from '../../core/given.ts';
import { outcomeOf } from '../../core/outcome.ts';
import { type Finding, mostRecipients, type ReceiptRun, toReceiptRun } from '../../core/run/host-receipt.ts';
import { exitOf, type Receipt } from '../../core/run/receipt.ts';
import { needsPerson, type Wait } from '../../core/run/waits.ts';
import { knownRecipients } from '../machine/age-key.ts';
import type { Machine } from '../machine/machine.ts';
import { dropDoneParts, partsNeeded } from '../machine/part-roots.ts';
import type { Root } from '../machine/root.ts';
import { type InHand, setAside } from '../update/in-hand.ts';
import { sourceOf } from '../update/open.ts';
import { takeBundle } from '../update/take.ts';
import { type Found, MediaQueue } from './queue.ts';
import type { FinishedVisit } from './visit.ts';

interface Takes {
  readonly root: Root;
  readonly inHand: InHand;
  readonly onReceipt?: (receipt: Receipt) => void;
  /** Called when a place that had stopped responding responds again. */
  readonly onAnswer?: () => void;
  /** What waits elsewhere or can’t be read there: the inbox, keyrings. */
  readonly others?: () => readonly Wait[];
}

/** In one receipt (core/run/host-receipt.ts): from the place itself, and from each other source. */
const [mostFindings, mostUntold] = [800, 100];

export class MediaTaker {
  readonly #machine: Machine;
  readonly #root: Root;
  readonly #inHand: InHand;
  readonly #queue: MediaQueue;
  readonly #onReceipt: ((receipt: Receipt) => void) | undefined;
  readonly #others: () => readonly Wait[];
  /** Findings that no receipt has reported yet. */
  readonly #untold: Finding[] = [];
  /** Runs of the visits in progress, by place. */
  readonly #runs = new Map<string, ReceiptRun[]>();

  constructor(machine: Machine, { root, inHand, onReceipt, onAnswer, others = () => [] }: Takes) {
    this.#machine = machine;
    this.#root = root;
    this.#inHand = inHand;
    this.#queue = new MediaQueue(machine, inHand, onAnswer);
    this.#onReceipt = onReceipt;
    this.#others = others;
  }

  /** Takes the best bundle available; if there is none, ends the visits that are over. @returns undefined in that case */
  async takeNext(): Promise<ExitCode | undefined> {
    await dropDoneParts(this.#machine);
    const next = await this.#queue.next();
    if (next !== undefined) return this.#take(next);
    for (const visit of this.#queue.finished()) {
      const runs = this.#runs.get(visit.place.id) ?? [];
      this.#runs.delete(visit.place.id);
      await this.#end(visit, runs);
    }
    return undefined;
  }

  /** As in the queue. */
  retryStaged(): void {
    this.#queue.retryStaged();
  }

  /** Milliseconds until something that waits is due. */
  due(): number | undefined {
    return this.#queue.due();
  }

  /** Everything that waits there, and what can’t be read. */
  waits(): Wait[] {
    return this.#queue.waits();
  }

  /** As in the queue. */
  get isWaiting(): boolean {
    return this.#queue.isWaiting;
  }

  /** As in the queue. */
  isSilent(id: string): boolean {
    return this.#queue.isSilent(id);
  }

  /** @param runs what became of the bundles taken there */
  async #end({ place, findings, without }: FinishedVisit, runs: readonly ReceiptRun[]): Promise<void> {
    this.#machine.emit(
      given({ event: 'medium-done', place: place.root, findings: findings.length, without }),
    );
    if (without !== undefined) this.#keepUntold(place.root, findings);
    const others = without === undefined ? [...this.#untold.splice(0), ...this.#othersWaiting()] : [];
    await this.#root.endVisit({
      schema: 1,
      transaction: this.#machine.randomHex(6),
      place: place.root,
      findings: [...findings.slice(0, mostFindings), ...others],
      runs: runs.slice(-100),
      ...given({
        ageRecipients: (await knownRecipients(this.#machine))?.slice(0, mostRecipients),
        without,
        parts: runs.at(-1)?.code === 'parts-missing' ? await partsNeeded(this.#machine) : undefined,
      }),
    });
  }

  /** A medium with nothing for this machine got no receipt: what was wrong with it goes into the next one. */
  #keepUntold(root: string, findings: readonly Finding[]): void {
    this.#untold.push(...findings.map((finding) => ({ ...finding, file: join(root, finding.file) })));
    this.#untold.splice(0, this.#untold.length - mostUntold);
  }

  /** Whatever only a person can fix, wherever it is: the reader of this receipt may be the only one to see it. */
  #othersWaiting(): Finding[] {
    return this.#others()
      .filter(({ code }) => needsPerson(code))
      .slice(0, mostUntold)
      .map(({ path: file, code, detail }) => given({ file, outcome: 'waiting', code, detail }));
  }

  async #take(next: Found): Promise<ExitCode> {
    const { candidate, place } = next;
    const knownWait = this.#queue.knownWait(next);
    try {
      const receipt = await this.#receiptOf(next, knownWait);
      this.#onReceipt?.(receipt);
      const exit = exitOf(receipt);
      const { transaction, state, code, detail } = receipt;
      if (code === 'parts-missing') {
        this.#queue.partDone(next, { detail, isProgress: receipt.imported !== undefined });
        this.#noteRun(place.id, receipt);
      } else if (isPassing(exit)) this.#queue.defer(next, { code: code ?? 'interrupted', detail });
      else {
        this.#queue.markDone(next, state, { code });
        this.#noteRun(place.id, receipt);
      }
      // What it already waited for is no news.
      const level = code !== undefined && code === knownWait ? 'debug' : 'info';
      this.#machine.emit({ event: 'bundle-done', level, source: candidate.path, transaction, state });
      return exit;
    } catch (error) {
      const { code, detail } = outcomeOf(error);
      this.#queue.defer(next, { code, detail });
      if (!(error instanceof NixmakerError)) throw error;
      const level = code === knownWait ? 'debug' : 'info';
      this.#machine.emit({ event: 'waiting', level, code, detail, source: candidate.path });
      return catalogue[error.code].exit;
    }
  }

  #noteRun(place: string, receipt: Receipt): void {
    this.#runs.set(place, [...(this.#runs.get(place) ?? []), toReceiptRun(receipt)]);
  }

  #receiptOf({ candidate, why }: Found, knownWait: ReasonCode | undefined): Promise<Receipt> {
    const machine = this.#machine;
    if (why !== undefined) return setAside(machine, candidate, { code: 'cut-off-before', detail: why });
    const request = { name: candidate.path, source: sourceOf(candidate), ...given({ knownWait }) };
    return this.#inHand.taking(candidate, () => takeBundle(machine, this.#root, request));
  }
}
