/** What the agent waits for, kept for `status` and `doctor`. */
import { messageOf } from '../../core/errors.ts';
import { toWaits, type Wait } from '../../core/run/waits.ts';
import { writeWaits } from '../../state/waits.ts';
import type { Machine } from '../machine/machine.ts';

export class WaitsRecord {
  readonly #machine: Pick<Machine, 'emit' | 'settings'>;
  #written: string | undefined;

  constructor(machine: Pick<Machine, 'emit' | 'settings'>) {
    this.#machine = machine;
  }

  /** Written only if changed. What waits is retried whether or not this can be written. */
  async write(from: readonly { waits(): readonly Wait[] }[]): Promise<void> {
    const waits = toWaits(from.flatMap((queue) => queue.waits()));
    const text = JSON.stringify(waits);
    if (text === this.#written) return;
    this.#written = text;
    try {
      await writeWaits(this.#machine.settings.runtimeDirectory, waits);
    } catch (error) {
      this.#machine.emit({ event: 'waits-not-written', level: 'warn', detail: messageOf(error) });
    }
  }
}
