/**
 * Back to what was there: the remembered generation (never “the one before”, which may be another), its boot entry, and, if the running
 * system was or may have been touched, its running state. The bad generation is deleted: a broken one can make later boot loader
 * installations fail.
 */
import { readBootMenus } from '../../activation/boot-menu.ts';
import { findInhibitors } from '../../activation/inspect.ts';
import { startUnit } from '../../activation/units.ts';
import { messageOf, NixmakerError, type ReasonCode } from '../../core/errors.ts';
import { describeFault } from '../../core/run/boot-menu.ts';
import { mayFollow } from '../../core/run/lifecycle.ts';
import type { Receipt } from '../../core/run/receipt.ts';
import { isLasting, type Operation } from '../../core/schema.ts';
import { parseStorePath, type StorePath } from '../../core/store-path.ts';
import {
  deleteGeneration,
  listGenerations,
  readProfile,
  readSystemLink,
  switchGeneration,
} from '../../nix/profile.ts';
import { raiseFloorFor } from '../machine/floor.ts';
import type { Machine } from '../machine/machine.ts';
import type { Transaction } from '../machine/transaction.ts';
import { installMenu } from './boot-verb.ts';
import { runRollBackHook } from './hooks.ts';
import { requireDone, switchVerb } from './switch-verb.ts';

export interface Rollback {
  readonly transaction: Transaction;
  readonly operation: Operation;
  /**
   * Leave the work to nixmaker-activate.service. While the machine is still booting, a switch would wait for the end of the boot, and the
   * boot for us.
   */
  readonly leaveToHelper?: boolean;
}

/** @param cause what made it necessary; its detail is what the operator reads */
export async function rollBack(machine: Machine, request: Rollback, cause: unknown): Promise<Receipt> {
  const { transaction } = request;
  const detail = cause instanceof NixmakerError ? cause.detail : messageOf(cause);
  const known: readonly ReasonCode[] = [
    'interrupted',
    'configuration-unusable',
    'health-failed',
    'boot-failed',
    'not-confirmed',
    'no-space',
    'nix-unavailable',
    'no-boot-entry',
  ];
  const code =
    cause instanceof NixmakerError && known.includes(cause.code) ? cause.code : 'activation-failed';
  transaction.learn({ code, detail });
  const oneWay = await noWayBackFrom(machine, request);
  if (oneWay !== undefined) return leave(machine, request, `${detail}; the release is one-way: ${oneWay}`);
  // On disk before the first effect: a rollback that is cut off is begun again, not mistaken for an activation.
  if (transaction.state !== 'rolling-back') await transaction.advance('rolling-back');
  if (request.leaveToHelper === true) {
    await startUnit(machine.run, 'nixmaker-activate.service');
    return transaction.receipt();
  }
  await runRollBackHook(machine, request);
  const faults = await undo(machine, request);
  if (faults.length > 0) {
    return transaction.end('failed', {
      code: 'rollback-failed',
      detail: `${detail}; while restoring: ${faults.join('; ')}`,
    });
  }
  const left = await withoutWayBack(machine, request);
  if (left !== undefined)
    return transaction.end('failed', { code: 'no-way-back', detail: `${detail}; ${left}` });
  return transaction.end('rolled-back', { code, detail });
}

/** Why the system stays, healthy or not: its release says so, and it has run, or may have begun to. */
async function noWayBackFrom(
  { bootId, settings }: Pick<Machine, 'bootId' | 'settings'>,
  { transaction }: Rollback,
): Promise<string | undefined> {
  const { noWayBack, toplevel } = transaction.known;
  if (noWayBack === undefined) return undefined;
  if (transaction.reached('switched')) return noWayBack;
  const startedInto =
    transaction.known.bootId !== bootId && (await readSystemLink(settings.currentSystem)) === toplevel;
  // Threat: a rollback is cut off, and the machine boots into the system being removed: left like that, the menu leads to a system that no
  // generation keeps.
  // generation keeps.
  const isInPlace = (await readProfile(settings.profile)).toplevel === toplevel;
  return startedInto && isInPlace ? noWayBack : undefined;
}

/**
 * Ends the run with the new system in place. The floor rises to it as if it were healthy. Threat: the release before it is on the next
 * medium, and would otherwise be taken again, to be put back in place.
 */
async function leave(
  machine: Pick<Machine, 'emit' | 'floorDirectory' | 'settings'>,
  { transaction, operation }: Rollback,
  detail: string,
): Promise<Receipt> {
  if (isLasting(operation)) await raiseFloorFor(machine, transaction.known);
  if (!mayFollow(transaction.state, 'failed')) await transaction.advance('rolling-back');
  return transaction.end('failed', { code: 'left-unwell', detail });
}

/** On a machine that had no system before, names what there is now: “the previous one was put back” would be a lie. */
async function withoutWayBack(
  { settings }: Pick<Machine, 'settings'>,
  { transaction: { known }, operation }: Rollback,
): Promise<string | undefined> {
  const installs = isLasting(operation);
  if (parseStorePath((installs ? known.previousToplevel : known.previousCurrent) ?? '') !== undefined)
    return undefined;
  if (!installs) return 'no system ran before';
  const { toplevel } = await readProfile(settings.profile);
  return toplevel === undefined
    ? 'no system was installed before, and none is now'
    : `no system was installed before; ${toplevel} is installed now, although it failed`;
}

/** Each step is tried, whatever became of the one before. @returns what went wrong */
async function undo(machine: Machine, { transaction, operation }: Rollback): Promise<string[]> {
  const faults: string[] = [];
  const attempt = async (step: () => Promise<unknown>) => {
    try {
      await step();
    } catch (error) {
      faults.push(messageOf(error));
    }
  };
  const { previousToplevel, previousGeneration: generation } = transaction.known;
  const previous = parseStorePath(previousToplevel ?? '');
  const installs = isLasting(operation);
  if (installs && previous !== undefined && generation !== undefined) {
    const { profile } = machine.settings;
    // If nothing was changed yet, nothing is written: the disk may be full.
    const moved = (await readProfile(profile)).generation !== generation;
    if (moved) await attempt(() => switchGeneration(machine.nix, { profile, generation }));
    await attempt(() => deleteOurs(machine, transaction, generation));
    if (moved || transaction.reached('boot-entry'))
      await attempt(() => restoreMenu(machine, transaction, previous));
  }
  const live = await systemToRun(machine, { transaction, operation });
  if (live !== undefined) {
    await attempt(() =>
      runVerb(machine, { transaction, toplevel: live }, live === previous ? 'switch' : 'test'),
    );
  }
  const running = await readSystemLink(machine.settings.currentSystem);
  if (installs && running !== undefined && running === transaction.known.toplevel)
    transaction.notice('The machine still runs the system that was rolled back; restart it.');
  // Threat: a report that everything was put back, from a machine that will next boot into the system that failed.
  if (installs && previous !== undefined && generation === undefined)
    faults.push(
      'there is no known generation of the previous system, so profile and boot menu still lead to the new one',
    );
  return faults;
}

/** Deletes this run’s generation. One that an operator chose was there before us, and stays. */
async function deleteOurs(
  machine: Pick<Machine, 'nix' | 'settings'>,
  { known }: Transaction,
  previous: number,
): Promise<void> {
  if (known.targetGeneration !== undefined) return;
  const { profile } = machine.settings;
  for (const [generation, system] of await listGenerations(profile)) {
    if (generation > previous && system === known.toplevel)
      await deleteGeneration(machine.nix, { profile, generation });
  }
}

/**
 * What has to be made to run again, if anything. Within one boot, a failed switch may have left anything. After a restart nothing is left
 * of it, but the machine may have booted into the system that is to go; a system that was installed for a boot is left by another boot.
 */
async function systemToRun(
  machine: Pick<Machine, 'bootId' | 'settings'>,
  { transaction, operation }: Rollback,
): Promise<StorePath | undefined> {
  const { bootId, toplevel, previousCurrent, previousToplevel } = transaction.known;
  const running = await readSystemLink(machine.settings.currentSystem);
  const ranBefore = parseStorePath(previousCurrent ?? '');
  if (bootId === machine.bootId)
    return running !== ranBefore || transaction.reached('switched') ? ranBefore : undefined;
  const previous = parseStorePath(previousToplevel ?? '') ?? ranBefore;
  if (operation !== 'switch' || running === undefined || running !== toplevel || previous === undefined)
    return undefined;
  return (await findInhibitors(running, previous)).length === 0 ? previous : undefined;
}

/** The menu has the previous system as its default. */
async function restoreMenu(
  machine: Pick<Machine, 'clock' | 'nix' | 'run' | 'settings'>,
  transaction: Transaction,
  previous: StorePath,
): Promise<void> {
  const offered = [previous, parseStorePath(transaction.known.toplevel ?? '')];
  const fault = await installMenu(machine, transaction, {
    question: { next: previous, offered },
    requireDone: (result) => requireDone(result, { what: `${previous} boot`, code: 'rollback-failed' }),
    onRenewed: () => undefined,
  }).catch(async (error: unknown) => {
    if (!(await startsByItself(machine.settings, previous))) throw error;
    transaction.notice(
      `The boot menu could not be rewritten (${messageOf(error)}). It still starts the previous system, but may list one that is gone.`,
    );
    return undefined;
  });
  if (fault !== undefined) throw new NixmakerError('rollback-failed', describeFault(fault));
}

/**
 * Whether the menu leads there without having been rewritten: a boot builder that failed for want of room, before its default was changed,
 * has done no harm.
 */
async function startsByItself(
  { bootDirectory }: Pick<Machine['settings'], 'bootDirectory'>,
  previous: StorePath,
): Promise<boolean> {
  const chosen = (await readBootMenus(bootDirectory)).map((menu) => menu.chosen?.system);
  return chosen.length > 0 && chosen.every((system) => system === previous);
}

async function runVerb(
  machine: Pick<Machine, 'clock' | 'run' | 'settings'>,
  system: { transaction: Transaction; toplevel: StorePath },
  verb: 'switch' | 'test',
): Promise<void> {
  const result = await switchVerb(machine, system, verb);
  requireDone(result, {
    what: `${system.toplevel} ${verb}`,
    code: 'rollback-failed',
    good: ['done', 'units-failed', 'reboot-needed'],
  });
}
