/** Deleting paths that this process has held until just now: the daemon’s side holds them until it has noticed that we let go. */
import { NixmakerError } from '../../core/errors.ts';
import type { StorePath } from '../../core/store-path.ts';
import type { Machine } from '../machine/machine.ts';

const mostTries = 20;
/** Milliseconds. */
const pause = 250;

export interface Deletion {
  readonly paths: readonly StorePath[];
  readonly delete: (paths: readonly StorePath[]) => Promise<void>;
  /** Something still holds them, for the moment at least. Called once. */
  readonly onHeld?: () => void;
  /** Fewer, where it is likely that something needs them. */
  readonly tries?: number;
}

/** @throws NixmakerError as `delete`; `nix-failed` if something else holds them as well */
export async function deleteReleased(
  { clock }: Pick<Machine, 'clock'>,
  { paths, delete: deleteThem, onHeld, tries = mostTries }: Deletion,
): Promise<void> {
  for (let tried = 1; ; tried += 1) {
    try {
      await deleteThem(paths);
      return;
    } catch (error) {
      const isHeld = error instanceof NixmakerError && error.code === 'nix-failed';
      if (!isHeld || tried === tries) throw error;
      if (tried === 1) onHeld?.();
      await clock.sleep(pause);
    }
  }
}
