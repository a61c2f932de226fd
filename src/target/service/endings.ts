/** Reports the end of each run to systemd, the journal and the operator’s hooks, one run after the other. */
import { messageOf } from '../../core/errors.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import type { Machine } from '../machine/machine.ts';
import { runHooks } from './hooks.ts';
import { endingText, type Service, tellJournal } from './notify.ts';

export class Endings {
  readonly #machine: Machine;
  readonly #service: Service;
  #telling = Promise.resolve();

  constructor(machine: Machine, service: Service) {
    this.#machine = machine;
    this.#service = service;
  }

  /** A waiting run is retried every few minutes, and is no news. */
  tell(receipt: Receipt): void {
    if (receipt.state === 'deferred') return;
    this.#telling = this.#telling
      .then(() => this.#tellOne(receipt))
      .catch((error: unknown) =>
        this.#machine.emit({ event: 'fault', level: 'error', detail: messageOf(error) }),
      );
  }

  /** Resolves when everybody has been notified. */
  told(): Promise<void> {
    return this.#telling;
  }

  async #tellOne(receipt: Receipt): Promise<void> {
    await this.#service.status(endingText(receipt));
    await tellJournal(this.#machine, receipt);
    await runHooks(this.#machine, receipt);
  }
}
