/**
 * Back to what was there: the remembered generation (never "the one before", which may be another), its boot entry,
 * and, where the running system was or may have been touched, its running state. The bad generation is deleted: a
 * broken one can make later boot loader installations fail.
 */
import type { SwitchVerb } from '../activation/switch.ts';
import { messageOf, NixmakerError, type ReasonCode } from '../core/errors.ts';
import type { Receipt } from '../core/receipt.ts';
import { parseStorePath, type StorePath } from '../core/store-path.ts';
import { deleteGeneration, readProfile, readSystemLink, switchGeneration } from '../nix/profile.ts';
import { type ActivationRequest, switchVerb } from './activate.ts';
import type { Machine } from './machine.ts';
import type { Transaction } from './transaction.ts';

type Rollback = Pick<ActivationRequest, 'transaction' | 'operation'>;

/** @param cause what made it necessary; its detail is what the operator reads */
export async function rollBack(machine: Machine, request: Rollback, cause: unknown): Promise<Receipt> {
  const { transaction } = request;
  const detail = cause instanceof NixmakerError ? cause.detail : messageOf(cause);
  const known: readonly ReasonCode[] = ['interrupted', 'health-failed'];
  const code =
    cause instanceof NixmakerError && known.includes(cause.code) ? cause.code : 'activation-failed';
  transaction.learn({ code, detail });
  // On disk before the first effect: a rollback that is cut off is begun again, not mistaken for an activation.
  if (transaction.state !== 'rolling-back') await transaction.advance('rolling-back');
  const faults = await undo(machine, request);
  if (faults.length > 0) {
    return transaction.end('failed', {
      code: 'rollback-failed',
      detail: `${detail}; putting back: ${faults.join('; ')}`,
    });
  }
  return transaction.end('rolled-back', { code, detail });
}

/** Each step is tried whatever became of the one before. @returns what went wrong */
async function undo(machine: Machine, { transaction, operation }: Rollback): Promise<string[]> {
  const faults: string[] = [];
  const attempt = async (step: () => Promise<unknown>) => {
    try {
      await step();
    } catch (error) {
      faults.push(messageOf(error));
    }
  };
  const { previousToplevel, previousGeneration: generation, previousCurrent } = transaction.known;
  const previous = parseStorePath(previousToplevel ?? '');
  const ranBefore = parseStorePath(previousCurrent ?? '');
  const installs = operation === 'switch' || operation === 'boot';
  if (installs && previous !== undefined && generation !== undefined) {
    const { profile } = machine.settings;
    const bad = (await readProfile(profile)).generation;
    await attempt(() => switchGeneration(machine.nix, { profile, generation }));
    // A generation that an operator chose was there before us, and stays.
    const ours = transaction.known.targetGeneration === undefined;
    if (ours && bad !== undefined && bad !== generation) {
      await attempt(() => deleteGeneration(machine.nix, { profile, generation: bad }));
    }
    await attempt(() => runVerb(machine, { transaction, toplevel: previous }, 'boot'));
  }
  if (ranBefore !== undefined && (await mayBeTouched(machine, transaction, ranBefore))) {
    await attempt(() =>
      runVerb(machine, { transaction, toplevel: ranBefore }, ranBefore === previous ? 'switch' : 'test'),
    );
  }
  if (previous === undefined && ranBefore === undefined) faults.push('there was no system before');
  return faults;
}

/**
 * Whether the running system needs putting back. After a restart what runs is what was booted, and nothing of a
 * switch that was cut off is left; within one boot a switch that failed may have left anything.
 */
async function mayBeTouched(
  machine: Machine,
  transaction: Transaction,
  ranBefore: StorePath,
): Promise<boolean> {
  const running = await readSystemLink(machine.settings.currentSystem);
  if (running !== ranBefore) return true;
  return transaction.known.bootId === machine.bootId && transaction.reached('switched');
}

async function runVerb(
  machine: Machine,
  system: { transaction: Transaction; toplevel: StorePath },
  verb: SwitchVerb,
): Promise<void> {
  const { outcome } = await switchVerb(machine, system, verb);
  const good = outcome === 'done' || (verb !== 'boot' && outcome === 'units-failed');
  if (!good) throw new NixmakerError('rollback-failed', `${system.toplevel} ${verb}: ${outcome}`);
}
