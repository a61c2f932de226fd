/**
 * The release that is staged, in its turn: when its window opens, its approval program may be asked again, or it would no longer be taken,
 * root is asked to look at it (root/staged.ts). Nothing has to be brought for that.
 */
import { catalogue, isPassing } from '../../core/catalogue.ts';
import { type ExitCode, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { outcomeOf } from '../../core/outcome.ts';
import { exitOf, type Receipt } from '../../core/run/receipt.ts';
import { decideHere } from '../machine/decision.ts';
import type { Machine } from '../machine/machine.ts';
import type { Root } from '../machine/root.ts';
import { readStaged, readStagedHead, type Staged } from '../machine/staged.ts';
import { withLock } from '../machine/with-lock.ts';
import { Postponed } from '../update/postponed.ts';

/** Milliseconds for which files at hand come first; the shortest window lasts one minute. */
const mostPatience = 30_000;

interface Takes {
  readonly root: Root;
  readonly onReceipt: (receipt: Receipt) => void;
  /** It was good when it came, and is no longer whole. */
  readonly onLost?: () => void;
}

interface Why {
  readonly code: ReasonCode;
  readonly detail: string;
}

export class StagedTaker {
  readonly #machine: Machine;
  readonly #root: Root;
  readonly #onReceipt: (receipt: Receipt) => void;
  readonly #onLost: () => void;
  readonly #postponed: Postponed;
  /** Milliseconds, on the monotonic clock. */
  #lookedAt: number;

  constructor(machine: Machine, { root, onReceipt, onLost = () => undefined }: Takes) {
    this.#machine = machine;
    this.#root = root;
    this.#onReceipt = onReceipt;
    this.#onLost = onLost;
    this.#postponed = new Postponed(machine.clock);
    this.#lookedAt = machine.clock.monotonic();
  }

  /** Its run; undefined if none is staged. */
  async present(): Promise<string | undefined> {
    return (await readStaged(this.#machine))?.transaction;
  }

  /**
   * Lets root look at it if it is due.
   * @param isBusy whether there are files at hand, which may be newer and come first. Threat: somebody drops one every second, and its window
   * passes
   * @returns undefined if it waits on, or there is none
   */
  async takeNext({ isBusy }: { readonly isBusy: boolean }): Promise<ExitCode | undefined> {
    const now = this.#machine.clock.monotonic();
    if (isBusy && now - this.#lookedAt < mostPatience) return undefined;
    this.#lookedAt = now;
    const staged = await readStaged(this.#machine);
    const present = staged === undefined ? [] : [staged.transaction];
    this.#postponed.keepOnly(new Set(present));
    if (staged === undefined) return undefined;
    const file = asFile(staged);
    if (this.#postponed.left(file) > 0) return undefined;
    const why = this.#postponed.knows(file.path) ? await this.#whyWait(staged) : firstWait(staged);
    if (why === undefined) return this.take();
    this.#postponed.backOff(file, { ...why, isOurs: true });
    return undefined;
  }

  /** Lets root look at it in any case. @returns undefined if it waits on, or there is none */
  async take(): Promise<ExitCode | undefined> {
    try {
      const receipt = await withLock(this.#machine, async () => {
        await this.#root.resume();
        return this.#root.activateStaged();
      });
      return receipt === undefined ? undefined : this.#tell(receipt);
    } catch (error) {
      if (!(error instanceof NixmakerError)) throw error;
      const staged = await readStaged(this.#machine);
      if (staged !== undefined)
        this.#postponed.backOff(asFile(staged), { ...outcomeOf(error), isOurs: true });
      return isPassing(catalogue[error.code].exit) ? undefined : catalogue[error.code].exit;
    }
  }

  /** Milliseconds until it is looked at again; undefined if none is staged. */
  due(): number | undefined {
    return this.#postponed.soonest();
  }

  #tell(receipt: Receipt): ExitCode | undefined {
    const { transaction, state, code, detail = '' } = receipt;
    if (state === 'staged') {
      const why = { code: code ?? 'interrupted', detail, isOurs: true };
      this.#postponed.backOff(asFile({ transaction }), why);
      return undefined;
    }
    this.#postponed.delete(transaction);
    this.#onReceipt(receipt);
    if (code === 'staged-lost') this.#onLost();
    this.#machine.emit({ event: 'staged-done', transaction, state, code });
    return exitOf(receipt);
  }

  /** Why root would only say again what it has said; undefined if it should look. */
  async #whyWait({ manifestDigest, record }: Staged): Promise<Why | undefined> {
    const { operation } = this.#machine.policy;
    try {
      const { verified } = await readStagedHead(this.#machine, manifestDigest);
      const asked = { operation, unattended: true, isStaged: true };
      const { verdict, ...why } = await decideHere(this.#machine, verified, asked);
      const isTheSame = verdict === 'defer' && 'code' in why && why.code === record?.code;
      return isTheSame ? (why as Why) : undefined;
    } catch (error) {
      // What is wrong with it is for root to find.
      if (error instanceof NixmakerError) return undefined;
      throw error;
    }
  }
}

const asFile = ({ transaction }: Pick<Staged, 'transaction'>) => ({
  path: transaction,
  fingerprint: transaction,
});

/** Root has just looked, or the agent has just started: the first pause is the shortest. */
const firstWait = ({ record }: Staged): Why => ({
  code: record?.code === 'outside-window' ? 'outside-window' : 'interrupted',
  detail: record?.detail ?? '',
});
