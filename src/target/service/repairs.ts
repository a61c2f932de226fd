/** `repair: automatic`: what root has found damaged is repaired as soon as a bundle is at hand that has it. */
import { outcomeOf } from '../../core/outcome.ts';
import { isReplaceable } from '../../core/run/damage.ts';
import { readContentsRecord } from '../../state/contents-record.ts';
import type { Machine } from '../machine/machine.ts';
import type { Root } from '../machine/root.ts';
import { type AtHand, candidatesAtHand, openAtHand, type Unusable } from '../media/at-hand.ts';
import { repairFrom } from './repair.ts';

export class Repairs {
  readonly #machine: Machine;
  readonly #root: Pick<Root, 'repair'>;
  /** What was damaged and at hand when last tried: the same would come to the same. */
  #tried = '';

  constructor(machine: Machine, root: Pick<Root, 'repair'>) {
    this.#machine = machine;
    this.#root = root;
  }

  /** Never throws: updates go on whatever becomes of it. */
  async run(): Promise<void> {
    if (this.#machine.policy.repair !== 'automatic') return;
    try {
      await this.#repair();
    } catch (error) {
      this.#tell({ file: 'the store', ...outcomeOf(error) });
    }
  }

  async #repair(): Promise<void> {
    const machine = this.#machine;
    const record = await readContentsRecord(machine.floorDirectory);
    const damaged = record.damaged.filter(isReplaceable);
    if (damaged.length === 0) return;
    const onUnusable = (found: Unusable) => this.#tell(found);
    const candidates = await candidatesAtHand(machine, onUnusable);
    const attempt = JSON.stringify([damaged.map(({ path }) => path), candidates.map(({ path }) => path)]);
    if (attempt === this.#tried) return;
    this.#tried = attempt;
    let left = record;
    for (const candidate of candidates) {
      if (!left.damaged.some(isReplaceable)) break;
      const source: AtHand | undefined = await openAtHand(machine, candidate, onUnusable);
      if (source === undefined) continue;
      try {
        left = await repairFrom(machine, this.#root, { record: left, sources: [source], onUnusable });
      } finally {
        await source.close();
      }
    }
    const count = record.damaged.length - left.damaged.length;
    machine.emit({ event: 'repaired', level: 'warn', paths: count, left: left.damaged.length });
  }

  #tell({ file: source, code, detail }: Unusable): void {
    this.#machine.emit({ event: 'repair-source-unusable', level: 'warn', source, code, detail });
  }
}
